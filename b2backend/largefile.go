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
// Without it such a large file stays behind, for a lifecycle rule to remove. What may be left is said by an error that
// matches [sluice.ErrLeftBehind], or to the logger if a further start succeeds. If a large file that was started as ctx
// ended cannot be cancelled, it is returned.
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
			if b.cannotFind(d) != nil {
				return false, nil
			}
			found, err := b.findStarted(ctx, d)
			if len(found) > 0 {
				started = found[0]
			}
			return len(found) > 0, err
		},
	}
	err = b.client.callCarefully(ctx, longer, k)
	cleaning, cancelCleaning := retry.Detached(ctx, retry.CleanupTime)
	defer cancelCleaning()
	var left error
	if k.lost {
		// Of several starts at most one is ours.
		left = b.cancelStarted(cleaning, d, started.FileID, err != nil && k.silent)
	}
	if err == nil && (ctx.Err() == nil || b.cancel(cleaning, started.FileID) != nil) {
		// Whoever gets one that ctx has left behind tries once more, and can name it.
		if left != nil {
			b.client.log.Warn("b2: the answer to a start was lost: an unfinished large file may be left",
				slog.String("bucket", b.bucket.Name), slog.String("name", spec.Name), slog.Any("error", left))
		}
		return b.open(started.FileID, spec, nil), nil
	}
	if err == nil {
		err = retry.Ended(ctx, nil)
	}
	if left != nil {
		return nil, fmt.Errorf("%w (%v): %w", sluice.ErrLeftBehind, left, err)
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

// cannotFind says why a large file cannot be found by the tag of d, nil if it can.
func (b *Backend) cannotFind(d *description) error {
	switch {
	case d.tag == "":
		return errors.New("it cannot be looked for: it carries no tag")
	case !b.canList():
		return errors.New("it cannot be looked for: the key lacks the capability listFiles")
	}
	return nil
}

// findStarted lists the unfinished large files that carry the tag of d.
func (b *Backend) findStarted(ctx context.Context, d *description) ([]fileObject, error) {
	if err := b.cannotFind(d); err != nil {
		return nil, err
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

// cancelStarted cancels the unfinished large files that carry the tag of d, but for one. The error says what may be
// left; expected is whether that is so too if none is listed.
func (b *Backend) cancelStarted(ctx context.Context, d *description, but string, expected bool) error {
	found, err := b.findStarted(ctx, d)
	if err != nil {
		return err
	}
	if len(found) == 0 && expected {
		return errors.New("none is listed, and the service may still be at work on it")
	}
	var errs []error
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

// open returns the handle of an unfinished large file.
func (b *Backend) open(id string, spec sluice.FileSpec, stored []sluice.Receipt) *LargeFile {
	return &LargeFile{
		backend: b, name: spec.Name, life: life.Cycle{Name: "b2backend: large file " + id},
		info: sluice.LargeFileInfo{ID: id, Stored: stored},
		urls: &urlList{client: b.client, method: getUploadPartURL, request: fileRequest{id}, most: spec.Uploads},
	}
}

// Format prints the ID, for every verb: the upload URLs hold tokens.
func (f *LargeFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "b2 large file "+f.info.ID) }

// Info is the file's ID and, of a resumed one, the parts that are stored.
func (f *LargeFile) Info() sluice.LargeFileInfo { return f.info }

// UploadPart stores a part by b2_upload_part. A repeat replaces it (documented).
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
	defer f.urls.begin(ctx)()
	var stored partObject
	const call = "b2_upload_part"
	u := &upload{
		call: call, urls: f.urls, part: p, header: h, secrets: encryption.secrets(),
		check: func() error { return f.checkPart(call, &stored, p.Number, p.Size, sum) },
	}
	if err := u.run(ctx, ctx, f.backend.client, &stored); err != nil {
		return sluice.Receipt{}, err
	}
	return stored.receipt(), nil
}

// checkNumber refuses a number that no part has.
func checkNumber(number int) error {
	if number < 1 || number > maxParts {
		return fmt.Errorf("b2backend: part number %d is not in 1 to %d", number, maxParts)
	}
	return nil
}

// checkPart compares the answer to a part with what was sent, or copied: then the size may be unknown, 0, and so is the
// digest, "".
func (f *LargeFile) checkPart(call string, stored *partObject, number int, size int64, sum string) error {
	switch {
	case stored.FileID != f.info.ID || stored.PartNumber != number:
		return unusable(call, "it is not about part %d of this file", number)
	case size > 0 && stored.ContentLength != size:
		return unusable(call, "%d bytes stored of %d", stored.ContentLength, size)
	case stored.ContentLength < 1:
		return unusable(call, "%d bytes stored", stored.ContentLength)
	case sum != "" && stored.ContentSHA1 != sum:
		return unusable(call, "another SHA-1 than %s", sum)
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
// refuses a repeat with a text of several wordings (documented).
func (b *Backend) cancel(ctx context.Context, id string) error {
	var gone fileRequest // the answer names the file too (documented)
	check := func() error {
		if gone.FileID != id {
			return unusable(cancelLargeFile.name, "it is about another file")
		}
		return nil
	}
	err := b.client.callFor(ctx, cancelLargeFile, fileRequest{id}, &gone, check, nil)
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
