package b2backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Source is an existing file, or a range of it, that the service copies from without the bytes leaving it. It may
// be in another bucket of the account; if that is private the key needs readFiles.
type Source struct {
	FileID string
	// Offset and Length are the range in bytes. Length 0 means the whole file, and Offset is 0 then. One call
	// copies at most 5 GB.
	Offset, Length int64
	// Encryption is the customer's key that the source is encrypted with, if it is.
	Encryption Encryption
}

// byteRange is the range as the calls take it, "" for the whole file.
func (s Source) byteRange() (string, error) {
	switch {
	case s.FileID == "":
		return "", errors.New("b2backend: source without a FileID")
	case s.Offset < 0 || s.Length < 0 || s.Length == 0 && s.Offset > 0:
		return "", fmt.Errorf("b2backend: source range of %d bytes at %d", s.Length, s.Offset)
	case s.Length > maxPart:
		return "", fmt.Errorf("b2backend: source range of %d bytes is over the limit of %d bytes", s.Length, int64(maxPart))
	case s.Length == 0:
		return "", nil
	}
	return fmt.Sprintf("bytes=%d-%d", s.Offset, s.Offset+s.Length-1), nil
}

// encryption is the customer's key in JSON. Other encryption of a source is the service's business.
func (s Source) encryption() *encryptionObject {
	if !s.Encryption.key.Given() {
		return nil
	}
	return s.Encryption.object()
}

// CopyPart makes a range of an existing file a part of the large file, by b2_copy_part. The receipt goes to Finish
// like that of an uploaded part.
func (f *LargeFile) CopyPart(ctx context.Context, number int, source Source) (sluice.Receipt, error) {
	if err := f.life.Require(life.Open, life.Open); err != nil {
		return sluice.Receipt{}, err
	}
	if err := checkNumber(number); err != nil {
		return sluice.Receipt{}, err
	}
	byteRange, err := source.byteRange()
	if err != nil {
		return sluice.Receipt{}, err
	}
	request := copyPartRequest{
		SourceFileID: source.FileID, LargeFileID: f.info.ID, PartNumber: number, Range: byteRange,
		SourceEncryption: source.encryption(),
	}
	if e := f.backend.options.Encryption; e.key.Given() {
		request.DestinationEncryption = e.object()
	}
	var stored partObject
	check := func() error { return f.checkPart(copyPart.name, &stored, number, source.Length, "") }
	if err := f.backend.client.callFor(ctx, copyPart, request, &stored, check, nil); err != nil {
		return sluice.Receipt{}, err
	}
	return stored.receipt(), nil
}

// CopyFile copies an existing file, or a range of it, to a new one of the bucket, by b2_copy_file. Content type and
// metadata are those of the source, unless spec or the handle's options say any; then all of them are theirs.
// An answer that was lost is [sluice.ErrFinishUnknown]: a repeat would make a second version.
func (b *Backend) CopyFile(ctx context.Context, spec sluice.FileSpec, source Source) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	d, err := b.describe(spec)
	if err != nil {
		return sluice.File{}, err
	}
	byteRange, err := source.byteRange()
	if err != nil {
		return sluice.File{}, err
	}
	request := copyFileRequest{
		SourceFileID: source.FileID, DestinationBucketID: b.bucket.ID, FileName: d.name, Range: byteRange,
		MetadataDirective: "COPY", FileRetention: b.options.retention(), LegalHold: b.options.LegalHold,
		SourceEncryption: source.encryption(), DestinationEncryption: b.options.Encryption.object(),
	}
	if spec.ContentType != "" || len(d.info) > 0 {
		request.MetadataDirective, request.ContentType, request.FileInfo = "REPLACE", d.contentType, d.info
	}
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	var stored fileObject
	k := &careful{
		method: copyFile, request: request, answer: &stored,
		check: func() error {
			if stored.FileID == "" || source.Length > 0 && stored.ContentLength != source.Length {
				return unusable(copyFile.name, "no file id, or %d bytes stored of %d", stored.ContentLength, source.Length)
			}
			return nil
		},
	}
	if err := b.client.callCarefully(ctx, longer, k); err != nil {
		if k.lost {
			err = fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
		}
		return sluice.File{}, err
	}
	return sluice.File{ID: stored.FileID, Name: stored.FileName, Size: stored.ContentLength}, nil
}
