package b2backend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// differs returns how a file is not as asked for, as far as f shows it. Our tag
// does not count, nor does the content type that the service chose for an
// unknown one, nor do encryption and locks that come from the bucket.
func (b *Backend) differs(f *fileObject, d *description) error {
	info := maps.Clone(f.FileInfo)
	delete(info, tagKey)
	o := &b.options
	encryption, retention := o.Encryption.object(), o.retention()
	// An answer hides what the key may not read (documented), and nothing else.
	may := func(capability string) bool { return slices.Contains(b.first.capabilities, capability) }
	switch {
	case f.FileName != d.name:
		return fmt.Errorf("its name is %q, not %q", f.FileName, d.name)
	case d.contentType != autoType && !strings.EqualFold(f.ContentType, d.contentType):
		return fmt.Errorf("its content type is %q, not %q", f.ContentType, d.contentType)
	case !maps.Equal(info, d.info):
		return fmt.Errorf("its info is %q, not %q", info, d.info)
	case encryption != nil && f.ServerSideEncryption.Mode != encryption.Mode:
		return fmt.Errorf("its encryption is %q, not %q", f.ServerSideEncryption.Mode, encryption.Mode)
	case encryption != nil && f.ServerSideEncryption.CustomerKeyMD5 != "" && f.ServerSideEncryption.CustomerKeyMD5 != encryption.CustomerKeyMD5:
		return errors.New("it is encrypted with another key")
	case o.LegalHold != "" && f.LegalHold.Readable && f.LegalHold.Value != o.LegalHold:
		return fmt.Errorf("its legal hold is %q, not %q", f.LegalHold.Value, o.LegalHold)
	case o.LegalHold != "" && !f.LegalHold.Readable && may("readFileLegalHolds"):
		return errors.New("its legal hold is not shown")
	case retention != nil && f.FileRetention.Value != nil && *f.FileRetention.Value != *retention:
		return fmt.Errorf("its retention is %q until %v, not %q until %v", f.FileRetention.Value.Mode,
			time.UnixMilli(f.FileRetention.Value.RetainUntilTime), o.Retention.Mode, o.Retention.Until)
	case retention != nil && f.FileRetention.Value == nil && may("readFileRetentions"):
		return errors.New("its retention is not shown")
	// How finely it is stored is not documented, nor what an unfinished file shows.
	case f.Action == "upload" && !o.UploadTimestamp.IsZero() && f.Uploaded.Sub(o.UploadTimestamp).Abs() >= time.Second:
		return fmt.Errorf("its upload timestamp is %v, not %v", f.Uploaded, o.UploadTimestamp)
	}
	return nil
}

// ignored returns how a file that was begun, or is stored, is not as asked for.
func (b *Backend) ignored(f *fileObject, d *description) error {
	if err := b.differs(f, d); err != nil {
		return fmt.Errorf("%w: %s", sluice.ErrOptionIgnored, httpx.Present(err.Error(), b.options.Encryption.secrets()...))
	}
	return nil
}

// storedAs is ignored for a file that is stored.
func (b *Backend) storedAs(f *fileObject, d *description) error {
	if err := b.ignored(f, d); err != nil {
		return fmt.Errorf("b2backend: %q is stored as %s, but %w", d.name, f.FileID, err)
	}
	return nil
}

func (d *description) checkSHA1(sum string) error {
	if want, ok := d.info[largeFileSHA1Key]; ok && !strings.EqualFold(want, sum) {
		return fmt.Errorf("b2backend: the SHA-1 of %q is %s, but large_file_sha1 says %q", d.name, sum, want)
	}
	return nil
}
