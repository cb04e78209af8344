package b2backend

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// CopySource is an existing file, or a range of it, that the service copies
// from without the bytes leaving it. It may be in another bucket of the
// account; if that is private the key needs readFiles.
type CopySource struct {
	FileID string
	// Offset and Length are the range in bytes. Length 0 means the whole file,
	// and Offset is 0 then. One call copies at most 5 GB.
	Offset, Length int64
	// Encryption is the customer's key that the source is encrypted with, if it
	// is.
	Encryption Encryption
}

// byteRange is the range as the calls take it, "" for the whole file.
func (s CopySource) byteRange() (string, error) {
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

// encryption is the customer's key in JSON. Other encryption of a source is the
// service's business.
func (s CopySource) encryption() *encryptionObject {
	if !s.Encryption.key.Given() {
		return nil
	}
	return s.Encryption.object()
}

// CopyPart makes a range of an existing file a part of the large file, by
// b2_copy_part. The receipt goes to Finish like that of an uploaded part.
func (f *LargeFile) CopyPart(ctx context.Context, number int, source CopySource) (sluice.Receipt, error) {
	if err := f.state.RequireOpen(); err != nil {
		return sluice.Receipt{}, err
	}
	if err := checkNumber(number); err != nil {
		return sluice.Receipt{}, err
	}
	byteRange, err := source.byteRange()
	if err != nil {
		return sluice.Receipt{}, err
	}
	encryption := f.backend.options.Encryption
	request := copyPartRequest{
		SourceFileID: source.FileID, LargeFileID: f.info.ID, PartNumber: number, Range: byteRange,
		SourceEncryption: source.encryption(),
	}
	if encryption.key.Given() {
		request.DestinationEncryption = encryption.object()
	}
	var stored partObject
	err = f.backend.client.do(ctx, &call{
		method: copyPart, request: request, secrets: append(source.Encryption.secrets(), encryption.secrets()...),
		read: into(&stored, func() error { return f.checkPart(&stored, number, source.Length, "") }),
	})
	if err != nil {
		return sluice.Receipt{}, err
	}
	return stored.receipt(), nil
}

// CopyFile copies an existing file, or a range of it, to a new one of the
// bucket, by b2_copy_file. Content type and metadata are those of the source,
// unless spec or the handle's options say any; then all of them are theirs. An
// answer that was lost is [sluice.ErrFinishUnknown]: a repeat would make a
// second version.
func (b *Backend) CopyFile(ctx context.Context, spec sluice.FileSpec, source CopySource) (sluice.File, error) {
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
	var stored fileObject
	k := &call{method: copyFile, request: request, secrets: append(source.Encryption.secrets(), b.options.Encryption.secrets()...)}
	k.read = into(&stored, func() error {
		if source.Length > 0 && int64(stored.ContentLength) != source.Length || stored.ContentLength < 0 {
			return fmt.Errorf("%d bytes stored of %d", stored.ContentLength, source.Length)
		}
		return checkID(stored.FileID)
	})
	_, err = b.client.commit(ctx, k, retry.Commit{Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown})
	if err != nil {
		return sluice.File{}, err
	}
	if request.MetadataDirective == "COPY" { // they are the source's
		d.contentType, d.info = stored.ContentType, maps.Clone(stored.FileInfo)
		delete(d.info, tagKey)
	}
	return sluice.File{ID: stored.FileID, Name: stored.FileName, Size: int64(stored.ContentLength)}, b.storedAs(&stored, d)
}
