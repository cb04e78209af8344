package b2backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

// LargeFile is a large file of [Backend.StartLargeFile] or
// [Backend.ResumeLargeFile], which return it as a [sluice.LargeFile]: for
// CopyPart assert its type.
type LargeFile struct {
	backend *Backend
	file    *description // what was asked for
	info    sluice.LargeFileInfo
	urls    *urlList
	state   uploadstate.Tracker
}

var _ sluice.LargeFile = (*LargeFile)(nil)

// StartLargeFile begins a large file. One whose answer was lost is looked for
// among the unfinished large files by a tag in its metadata, which takes the
// capability listFiles. If it is not listed, or cannot be, another is started,
// and the first may stay behind: the logger gets a warning, or an error matches
// [sluice.ErrLeftBehind]. If ctx ends, what was started is cancelled; it is
// returned if that fails.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	d, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	var started fileObject
	k := &call{method: startLargeFile, request: b.startRequest(d), secrets: b.options.Encryption.secrets()}
	k.read = into(&started, func() error { return checkID(started.FileID) })
	result, err := b.client.commit(ctx, k, retry.Commit{
		Lookup: func(ctx context.Context, _ error) (retry.Outcome, error) {
			found, err := b.brief().findStarted(ctx, d)
			switch {
			case err != nil:
				return retry.Unknown, err
			case len(found) == 0:
				return retry.NotDone, errors.New("none is listed, and the service may still be at work on it")
			}
			started = found[0]
			return retry.Done, nil
		},
		Repeat: b.cannotFind(d) != nil, Grace: retry.StartGrace, Doubt: sluice.ErrLeftBehind,
	})
	if err != nil {
		return nil, err
	}
	cleaning, cancel := retry.Detached(ctx, retry.CleanupTime)
	defer cancel()
	var left error
	if result.Lost != nil { // of several starts at most one is ours
		left = b.cancelStarted(cleaning, d, started.FileID)
	}
	if ctx.Err() != nil && b.cancel(cleaning, started.FileID) == nil {
		err := retry.Ended(ctx, nil)
		if left != nil {
			err = fmt.Errorf("%w (%v): %w", sluice.ErrLeftBehind, left, err)
		}
		return nil, err
	}
	if left != nil {
		b.client.log.Warn("b2: the answer to a start was lost: an unfinished large file may be left",
			slog.String("bucket", b.bucket.Name), slog.String("name", spec.Name), slog.Any("error", left))
	}
	if err := b.ignored(&started, d); err != nil {
		err = fmt.Errorf("b2backend: large file %s: %w", started.FileID, err)
		if failure := b.cancel(cleaning, started.FileID); failure != nil {
			err = fmt.Errorf("%w (cancelling it failed: %v): %w", sluice.ErrLeftBehind, failure, err)
		}
		return nil, err
	}
	return b.open(started.FileID, d, nil), nil
}

func (b *Backend) startRequest(d *description) startRequest {
	return startRequest{
		BucketID: b.bucket.ID, FileName: d.name, ContentType: d.contentType, FileInfo: d.tagged(),
		FileRetention: b.options.retention(), LegalHold: b.options.LegalHold,
		ServerSideEncryption: b.options.Encryption.object(), CustomUploadTimestamp: b.options.uploadTimestamp(),
	}
}

// cannotFind returns why a file cannot be found by the tag of d, nil if it can.
func (b *Backend) cannotFind(d *description) error {
	switch {
	case d.tag == "":
		return errors.New("it cannot be looked for: it carries no tag")
	case !b.canList():
		return errors.New("it cannot be looked for: the key lacks the capability listFiles")
	}
	return nil
}

func (b *Backend) findStarted(ctx context.Context, d *description) ([]fileObject, error) {
	if err := b.cannotFind(d); err != nil {
		return nil, err
	}
	var found []fileObject
	for f, err := range b.files(ctx, listUnfinished, d.name) {
		if err != nil {
			return nil, err
		}
		if f.FileName == d.name && f.FileInfo[tagKey] == d.tag {
			found = append(found, f)
		}
	}
	return found, nil
}

// cancelStarted cancels the unfinished large files that carry the tag of d, but
// for one. The error says what may be left.
func (b *Backend) cancelStarted(ctx context.Context, d *description, but string) error {
	found, err := b.findStarted(ctx, d)
	errs := []error{err}
	for _, f := range found {
		if f.FileID == but {
			continue
		}
		if err := b.cancel(ctx, f.FileID); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.FileID, err))
		}
	}
	return errors.Join(errs...)
}

func (b *Backend) open(id string, d *description, stored []sluice.Receipt) *LargeFile {
	return &LargeFile{
		backend: b, file: d, state: uploadstate.Tracker{Name: "b2backend: large file " + id},
		info: sluice.LargeFileInfo{ID: id, Stored: stored},
		urls: &urlList{client: b.client, method: getUploadPartURL, request: fileRequest{id}},
	}
}

// Format prints the ID, for every verb: the upload URLs hold tokens.
func (f *LargeFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "b2 large file "+f.info.ID) }

// Info is the file's ID and, of a resumed one, the parts that are stored.
func (f *LargeFile) Info() sluice.LargeFileInfo { return f.info }

// UploadPart stores a part by b2_upload_part. A repeat replaces it
// (documented).
func (f *LargeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if err := f.state.RequireOpen(); err != nil {
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
	u := &upload{
		name: "b2_upload_part", urls: f.urls, part: p, header: h, secrets: encryption.secrets(),
		read: into(&stored, func() error { return f.checkPart(&stored, p.Number, p.Size, sum) }),
	}
	defer u.release()
	if err := f.backend.client.policy.Do(ctx, u.retries(), u.send); err != nil {
		return sluice.Receipt{}, err
	}
	return stored.receipt(), nil
}

func checkNumber(number int) error {
	if number < 1 || number > maxParts {
		return fmt.Errorf("b2backend: part number %d is not in 1 to %d", number, maxParts)
	}
	return nil
}

// checkPart compares the answer to a part with what was sent, or copied: then
// the size may be unknown, 0, and so is the digest, "".
func (f *LargeFile) checkPart(stored *partObject, number int, size int64, sum string) error {
	switch {
	case stored.FileID != f.info.ID || stored.PartNumber != number:
		return fmt.Errorf("it is not about part %d of this file", number)
	case size > 0 && int64(stored.ContentLength) != size:
		return fmt.Errorf("%d bytes stored of %d", stored.ContentLength, size)
	case stored.ContentLength < 1:
		return fmt.Errorf("%d bytes stored", stored.ContentLength)
	case sum != "" && stored.ContentSHA1 != sum:
		return fmt.Errorf("another SHA-1 than %s", sum)
	}
	return nil
}

// Cancel removes the large file and its parts by b2_cancel_large_file. After a
// finish whose outcome is unknown it cancels nothing: it returns nil if the
// file turns out to be finished, otherwise [sluice.ErrFinishUnknown].
func (f *LargeFile) Cancel(ctx context.Context) error {
	may, err := f.state.MayCancel()
	if errors.Is(err, sluice.ErrFinishUnknown) {
		if seen, _ := f.lookup(ctx, 0, new(fileObject)); seen == retry.Done {
			f.state.Set(uploadstate.Finished)
			return nil
		}
	}
	if !may {
		return err
	}
	if err := f.backend.cancel(ctx, f.info.ID); err != nil {
		return err
	}
	f.state.Set(uploadstate.Cancelled)
	return nil
}

// cancel cancels a large file that no finish is open for. One that is gone
// already is no error: the service refuses a repeat with a text of several
// wordings (documented).
func (b *Backend) cancel(ctx context.Context, id string) error {
	var gone fileRequest // the answer names the file too (documented)
	k := &call{method: cancelLargeFile, request: fileRequest{id}}
	k.read = into(&gone, func() error { return sameID(gone.FileID, id) })
	err := b.client.do(ctx, k)
	if isGone(err) {
		return nil
	}
	return err
}

// isGone reports whether a call was refused because there is no such unfinished
// large file.
func isGone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && isRefusal(err) && (e.Status == http.StatusNotFound || strings.HasPrefix(e.Message, "No active upload"))
}
