package b2backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// LargeFile is a large file of [Backend.StartLargeFile] or [Backend.ResumeLargeFile], which return it as a
// [sluice.LargeFile]: for CopyPart assert its type.
type LargeFile struct {
	backend *Backend
	name    string
	info    sluice.LargeFileInfo
	urls    *urlList
	life    life.Cycle
}

var _ sluice.LargeFile = (*LargeFile)(nil)

// StartLargeFile begins a large file. A start whose answer was lost is looked for among the unfinished large files
// by a tag in its metadata, and gone on with, or cancelled if ctx has ended; that takes the capability listFiles.
// Without it such a large file stays behind unseen, for a lifecycle rule to remove. If a large file that was started
// as ctx ended cannot be cancelled, it is returned.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	d, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	longer, cancel := retry.Outlive(ctx, retry.StartGrace)
	defer cancel()
	var started fileObject
	k := &careful{
		method: startLargeFile, request: b.startRequest(d), answer: &started,
		check: func() error {
			if started.FileID == "" {
				return unusable(startLargeFile.name, "no file id")
			}
			return nil
		},
		settle: func(ctx context.Context) (bool, error) {
			found, err := b.findStarted(ctx, d)
			if len(found) > 0 {
				started = found[0]
			}
			return len(found) > 0, err
		},
	}
	err = b.client.callCarefully(ctx, longer, k)
	if err == nil && ctx.Err() == nil {
		if k.lost {
			// Of several starts one is ours. A failure to look leaves what a lifecycle rule removes.
			_ = b.cancelStarted(ctx, d, started.FileID)
		}
		return b.open(started.FileID, spec.Name, nil), nil
	}
	cleaning, cancelCleaning := retry.Detached(ctx, retry.CleanupTime)
	defer cancelCleaning()
	var cleanup error
	switch {
	case err == nil:
		if b.cancel(cleaning, started.FileID) != nil {
			// Whoever gets it tries once more, and can name what is left.
			return b.open(started.FileID, spec.Name, nil), nil
		}
	case k.lost:
		cleanup = b.cancelStarted(cleaning, d, "")
	}
	if err == nil {
		err = retry.Ended(ctx, nil)
	}
	if cleanup != nil {
		return nil, fmt.Errorf("%w; an unfinished large file of that name may be left: %v", err, cleanup)
	}
	return nil, err
}

// startRequest is the request of b2_start_large_file.
func (b *Backend) startRequest(d *description) startRequest {
	return startRequest{
		BucketID: b.bucket.ID, FileName: d.name, ContentType: d.contentType, FileInfo: d.tagged(),
		FileRetention: b.options.retention(), LegalHold: b.options.LegalHold,
		ServerSideEncryption: b.options.Encryption.object(), CustomUploadTimestamp: b.options.uploadTimestamp(),
	}
}

// findStarted lists the unfinished large files that carry the tag of d.
func (b *Backend) findStarted(ctx context.Context, d *description) ([]fileObject, error) {
	if d.tag == "" || !b.canList() {
		return nil, nil
	}
	var found []fileObject
	for f, err := range b.unfinished(ctx, d.name) {
		if err != nil {
			return nil, err
		}
		if f.FileName == d.name && f.FileInfo[tagKey] == d.tag {
			found = append(found, f)
		}
	}
	return found, nil
}

// cancelStarted cancels the unfinished large files that carry the tag of d, but for one.
func (b *Backend) cancelStarted(ctx context.Context, d *description, but string) error {
	found, err := b.findStarted(ctx, d)
	errs := []error{err}
	for _, f := range found {
		if f.FileID != but {
			errs = append(errs, b.cancel(ctx, f.FileID))
		}
	}
	return errors.Join(errs...)
}

// open returns the handle of an unfinished large file.
func (b *Backend) open(id, name string, stored []sluice.Receipt) *LargeFile {
	return &LargeFile{
		backend: b, name: name, life: life.Cycle{Name: "b2backend: large file " + id},
		info: sluice.LargeFileInfo{ID: id, Stored: stored},
		urls: &urlList{client: b.client, method: getUploadPartURL, request: fileRequest{id}},
	}
}

// Info is the file's ID and, of a resumed one, the parts that are stored.
func (f *LargeFile) Info() sluice.LargeFileInfo { return f.info }

// UploadPart stores a part by b2_upload_part. A repeat replaces it (b2-api: documented).
func (f *LargeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if err := f.life.Require(life.Open, life.Open); err != nil {
		return sluice.Receipt{}, err
	}
	if err := checkNumber(p.Number); err != nil {
		return sluice.Receipt{}, err
	}
	if p.Size < 1 || p.Size > maxPart {
		return sluice.Receipt{}, fmt.Errorf("b2backend: part %d of %d bytes; a part has 1 to %d bytes", p.Number, p.Size, int64(maxPart))
	}
	sum, err := sha1Of(p)
	if err != nil {
		return sluice.Receipt{}, err
	}
	encryption := f.backend.options.Encryption
	h := http.Header{}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Bz-Part-Number", strconv.Itoa(p.Number))
	h.Set("X-Bz-Content-Sha1", sum)
	encryption.setCustomer(h)
	var stored partObject
	const call = "b2_upload_part"
	u := &upload{
		call: call, urls: f.urls, part: p, header: h, secrets: encryption.secrets(),
		check: func() error { return f.checkPart(call, &stored, p.Number, p.Size, sum) },
	}
	if err := u.run(ctx, ctx, f.backend.client, &stored); err != nil {
		return sluice.Receipt{}, err
	}
	return stored.receipt()
}

// checkNumber refuses a number that no part has.
func checkNumber(number int) error {
	if number < 1 || number > maxParts {
		return fmt.Errorf("b2backend: part number %d is not in 1 to %d", number, maxParts)
	}
	return nil
}

// checkPart compares the answer to a part with what was sent.
func (f *LargeFile) checkPart(call string, stored *partObject, number int, size int64, sum string) error {
	switch {
	case stored.FileID != f.info.ID || stored.PartNumber != number:
		return unusable(call, "it is about part %d of %.100q", stored.PartNumber, stored.FileID)
	case size > 0 && stored.ContentLength != size:
		return unusable(call, "%d bytes stored of %d", stored.ContentLength, size)
	case sum != "" && stored.ContentSHA1 != sum:
		return unusable(call, "SHA-1 %.60q, not %s", stored.ContentSHA1, sum)
	}
	return nil
}

// Cancel removes the large file and its parts by b2_cancel_large_file. After a finish whose outcome is unknown
// it looks first, and refuses with [sluice.ErrFinishUnknown] if that does not help.
func (f *LargeFile) Cancel(ctx context.Context) error {
	may, err := f.life.MayCancel()
	if errors.Is(err, sluice.ErrFinishUnknown) {
		switch f.look(ctx, 0, true) {
		case life.Finished:
			f.life.Become(life.Finished)
			return nil
		case life.Open, life.Cancelled:
			may = true
		}
	}
	if !may {
		return err
	}
	if err := f.backend.cancel(ctx, f.info.ID); err != nil {
		return err
	}
	f.life.Become(life.Cancelled)
	return nil
}

// cancel cancels a large file that no finish is open for. One that is gone already is no error: the service
// refuses a repeat with a text of several wordings (b2-api: documented).
func (b *Backend) cancel(ctx context.Context, id string) error {
	err := b.client.call(ctx, cancelLargeFile, fileRequest{id}, nil)
	if isGone(err) {
		return nil
	}
	return err
}

// isGone tells whether a call was refused because there is no such unfinished large file.
func isGone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && strings.HasPrefix(e.Message, "No active upload"))
}
