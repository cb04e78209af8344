package b2backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// UploadFile stores a whole file by b2_upload_file. An answer that was lost is
// looked up before the file is sent again, so that no second version appears;
// that takes the capability listFiles. Without it the file is sent again all
// the same. If neither shows that it is there, the outcome is
// [sluice.ErrFinishUnknown].
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	d, err := b.describe(spec)
	if err != nil {
		return sluice.File{}, err
	}
	if p.Size != spec.Size || p.Size > b.limits.MaxSingle {
		return sluice.File{}, fmt.Errorf("b2backend: %q: a part of %d bytes for a file of %d; one call stores at most %d", spec.Name, p.Size, spec.Size, b.limits.MaxSingle)
	}
	sum, err := sha1Of(p)
	if err != nil {
		return sluice.File{}, err
	}
	if err := d.checkSHA1(sum); err != nil {
		return sluice.File{}, err
	}
	delete(d.info, largeFileSHA1Key) // X-Bz-Content-Sha1 is that
	var stored fileObject
	u := &upload{
		name: "b2_upload_file", urls: b.urls, part: p, header: b.fileHeader(d, sum), secrets: b.options.Encryption.secrets(),
		read: into(&stored, func() error { return stored.check(p.Size, sum) }),
	}
	defer u.release()
	_, err = b.client.policy.Commit(ctx, retry.Commit{
		Call: u.retries(), Send: u.send,
		Lookup: func(ctx context.Context, _ error) (retry.Outcome, error) {
			found, err := b.brief().findVersion(ctx, d, sum, p.Size)
			switch {
			case err != nil:
				return retry.Unknown, err
			case found == nil:
				return retry.NotDone, errors.New("no such version is listed")
			}
			stored = *found
			return retry.Done, nil
		},
		Repeat: b.cannotFind(d) != nil, Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown,
	})
	if err != nil {
		return sluice.File{}, err
	}
	return sluice.File{
		ID: stored.FileID, Name: spec.Name, Size: p.Size,
		Digests: sluice.Digests{{Name: "sha1", Sum: append([]byte(nil), p.Digests.Get("sha1")...)}},
	}, b.storedAs(&stored, d)
}

func (f *fileObject) check(size int64, sum string) error {
	switch {
	case int64(f.ContentLength) != size:
		return fmt.Errorf("%d bytes stored of %d", f.ContentLength, size)
	case f.ContentSHA1 != sum:
		return fmt.Errorf("another SHA-1 than %s", sum)
	}
	return checkID(f.FileID)
}

// fileHeader is the header of b2_upload_file (documented).
func (b *Backend) fileHeader(d *description, sum string) http.Header {
	h := http.Header{}
	h.Set("X-Bz-File-Name", encode(d.name))
	h.Set("Content-Type", d.contentType)
	h.Set("X-Bz-Content-Sha1", sum)
	for key, value := range d.tagged() {
		h.Set("X-Bz-Info-"+key, encode(value))
	}
	b.options.setHeaders(h)
	return h
}

// findVersion looks for the version that an upload made whose answer was lost,
// by its tag.
func (b *Backend) findVersion(ctx context.Context, d *description, sum string, size int64) (*fileObject, error) {
	if err := b.cannotFind(d); err != nil {
		return nil, err
	}
	for f, err := range b.versions(ctx, d.name) {
		if err != nil {
			return nil, err
		}
		if f.Action == "upload" && f.FileInfo[tagKey] == d.tag && f.ContentSHA1 == sum && int64(f.ContentLength) == size {
			return &f, nil
		}
	}
	return nil, nil
}
