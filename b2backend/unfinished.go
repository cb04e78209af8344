package b2backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
)

// Unfinished lists unfinished large files, those of other programs included, oldest first. It takes the capability
// listFiles.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		for f, err := range b.unfinished(ctx, prefix) {
			if !yield(f.unfinished(), err) || err != nil {
				return
			}
		}
	}
}

// unfinished is the file in the writer's terms, without our tag.
func (f *fileObject) unfinished() sluice.UnfinishedFile {
	delete(f.FileInfo, tagKey)
	return sluice.UnfinishedFile{
		ID: f.FileID, Started: f.uploaded(),
		Spec: sluice.FileSpec{Name: f.FileName, Size: sluice.UnknownSize, ContentType: f.ContentType, Info: f.FileInfo},
	}
}

// ResumeLargeFile opens an unfinished large file of the bucket; see [sluice.Backend]. One is refused whose name,
// metadata, content type (if one is given), or options of this handle (where they are set) differ. It takes the
// capability listFiles.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	d, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	var found *fileObject
	for f, err := range b.unfinished(ctx, spec.Name) {
		switch {
		case err != nil:
			return nil, err
		case id != "" && f.FileID == id, id == "" && f.FileName == spec.Name:
			found = &f // the last one is the newest
		}
	}
	if found == nil && id != "" {
		return nil, fmt.Errorf("b2backend: unfinished large file %s of name %q: %w", id, spec.Name, fs.ErrNotExist)
	}
	if found == nil {
		return nil, fmt.Errorf("b2backend: unfinished large file of name %q: %w", spec.Name, fs.ErrNotExist)
	}
	if err := b.differs(found, d); err != nil {
		return nil, fmt.Errorf("b2backend: unfinished large file %s: %w", found.FileID, err)
	}
	stored, err := b.parts(ctx, found.FileID)
	if isRefusal(err) {
		return nil, fmt.Errorf("b2backend: unfinished large file %s went away: %w: %w", found.FileID, fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	var receipts []sluice.Receipt
	for _, p := range stored {
		receipts = append(receipts, p.Receipt)
	}
	return b.open(found.FileID, spec, receipts), nil
}

// Parts lists the parts that the store holds of an unfinished large file, by rising number. The error matches
// [fs.ErrNotExist] if the large file is gone. It takes the capability writeFiles.
func (b *Backend) Parts(ctx context.Context, f sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	parts, err := b.parts(ctx, f.ID)
	if isRefusal(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("b2backend: unfinished large file %s: %w", f.ID, err)
	}
	return parts, nil
}

// differs says how an unfinished large file is not what is to be uploaded. The content type that the service chose
// for an unknown one, and encryption and retention by the bucket, do not count.
func (b *Backend) differs(f *fileObject, d *description) error {
	delete(f.FileInfo, tagKey)
	o := &b.options
	encryption := o.Encryption.object()
	retention := o.retention()
	switch {
	case f.FileName != d.name:
		return fmt.Errorf("its name is %q, not %q", f.FileName, d.name)
	case d.contentType != autoType && f.ContentType != d.contentType:
		return fmt.Errorf("its content type is %q, not %q", f.ContentType, d.contentType)
	case !maps.Equal(f.FileInfo, d.info):
		return fmt.Errorf("its info is %q, not %q", f.FileInfo, d.info)
	case encryption != nil && f.ServerSideEncryption.Mode != encryption.Mode:
		return fmt.Errorf("its encryption is %q, not %q", f.ServerSideEncryption.Mode, encryption.Mode)
	case encryption != nil && f.ServerSideEncryption.CustomerKeyMD5 != "" && f.ServerSideEncryption.CustomerKeyMD5 != encryption.CustomerKeyMD5:
		return errors.New("it is encrypted with another key")
	case retention != nil && f.FileRetention.Value != nil && *f.FileRetention.Value != *retention:
		return fmt.Errorf("its retention is %q until %v, not %q until %v", f.FileRetention.Value.Mode,
			time.UnixMilli(f.FileRetention.Value.RetainUntilTime), o.Retention.Mode, o.Retention.Until)
	case o.LegalHold != "" && f.LegalHold.Readable && f.LegalHold.Value != string(o.LegalHold):
		return fmt.Errorf("its legal hold is %q, not %q", f.LegalHold.Value, string(o.LegalHold))
	}
	return nil
}

// Stale selects unfinished large files to cancel.
type Stale struct {
	// Prefix of the name; "" is all.
	Prefix string
	// Before is the time that they were started before. The zero time selects none: a large file may be one that
	// somebody is uploading just now. One with a FileOptions.UploadTimestamp may count as started
	// then (uncertain).
	Before time.Time
	// Foreign selects those of other programs too, which do not carry this package's tag.
	Foreign bool
}

// CancelStale cancels unfinished large files and tells which. What fails does not keep it from trying the others.
// It takes the capability listFiles.
func (b *Backend) CancelStale(ctx context.Context, which Stale) ([]sluice.UnfinishedFile, error) {
	var gone []sluice.UnfinishedFile
	var errs []error
	for f, err := range b.unfinished(ctx, which.Prefix) {
		switch _, own := f.FileInfo[tagKey]; {
		case err != nil:
			errs = append(errs, err)
		case !f.uploaded().Before(which.Before), !own && !which.Foreign, !strings.HasPrefix(f.FileName, which.Prefix):
		default:
			if err := b.cancel(ctx, f.FileID); err != nil {
				errs = append(errs, fmt.Errorf("large file %s: %w", f.FileID, err))
				continue
			}
			gone = append(gone, f.unfinished())
		}
	}
	return gone, errors.Join(errs...)
}
