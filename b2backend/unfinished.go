package b2backend

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// Unfinished lists unfinished large files, those of other programs included,
// oldest first. It takes the capability listFiles.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		for f, err := range b.files(ctx, listUnfinished, prefix) {
			if !yield(f.unfinished(b.client.session.now()), err) || err != nil {
				return
			}
		}
	}
}

// unfinished is the file in the writer's terms, without our tag. now is the
// service's time.
func (f *fileObject) unfinished(now time.Time) sluice.UnfinishedFile {
	delete(f.FileInfo, tagKey)
	u := sluice.UnfinishedFile{
		ID: f.FileID, Started: f.Uploaded.Time,
		Spec: sluice.FileSpec{Name: f.FileName, Size: sluice.UnknownSize, ContentType: f.ContentType, Metadata: f.FileInfo},
	}
	if !u.Started.IsZero() {
		u.Age = max(0, now.Sub(u.Started)) // now is in whole seconds
	}
	return u
}

// ResumeLargeFile opens an unfinished large file of the bucket; see
// [sluice.Backend]. One is refused whose name, metadata, content type (if one
// is given), or options of this handle (where they are set) differ. It takes
// the capability listFiles.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	d, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	var found *fileObject
	for f, err := range b.files(ctx, listUnfinished, spec.Name) {
		switch {
		case err != nil:
			return nil, err
		case id != "" && f.FileID == id, id == "" && f.FileName == spec.Name:
			found = &f // the last one is the newest
		}
	}
	if found != nil && id == "" {
		if outdated, err := b.outdated(ctx, found); err != nil {
			return nil, err
		} else if outdated {
			found = nil
		}
	}
	if found == nil && id != "" {
		return nil, fmt.Errorf("b2backend: unfinished large file %s of name %q: %w", id, spec.Name, fs.ErrNotExist)
	}
	if found == nil {
		return nil, fmt.Errorf("b2backend: unfinished large file of name %q: %w", spec.Name, fs.ErrNotExist)
	}
	if err := b.differs(found, d); err != nil {
		return nil, fmt.Errorf("%w: b2backend: large file %s: %s", sluice.ErrResumeMismatch, found.FileID, httpx.Present(err.Error()))
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
	return b.open(found.FileID, d, receipts), nil
}

// outdated reports whether a finished version of the name ranks as newer than
// the unfinished large file: a large file ranks by its start.
func (b *Backend) outdated(ctx context.Context, unfinished *fileObject) (bool, error) {
	for f, err := range b.versions(ctx, unfinished.FileName) { // newest first
		switch {
		case err != nil:
			return false, err
		case f.FileID == unfinished.FileID:
			return false, nil
		case f.Action == "upload", f.Action == "copy":
			return true, nil
		}
	}
	return false, nil
}

// Parts lists the parts that the store holds of an unfinished large file, by
// rising number. The error matches [fs.ErrNotExist] if the large file is gone.
// It takes the capability writeFiles.
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

func (b *Backend) parts(ctx context.Context, id string) ([]sluice.StoredPart, error) {
	var parts []sluice.StoredPart
	request := listPartsRequest{FileID: id, MaxPartCount: partsPage}
	var pages httpx.Pages
	for {
		var page listPartsAnswer
		k := &call{method: listParts, request: request}
		k.read = into(&page, func() error { return page.check(request.StartPartNumber, &pages) })
		if err := b.client.do(ctx, k); err != nil {
			return nil, err
		}
		for i := range page.Parts {
			p := &page.Parts[i]
			parts = append(parts, sluice.StoredPart{Receipt: p.receipt(), Stored: p.Uploaded.Time})
		}
		if page.NextPartNumber == nil {
			return parts, nil
		}
		request.StartPartNumber = *page.NextPartNumber
	}
}

// check returns why a page that was asked for from a number on is not usable.
func (a *listPartsAnswer) check(from int, pages *httpx.Pages) error {
	due := max(1, from)
	for i := range a.Parts {
		switch p := &a.Parts[i]; {
		case p.PartNumber > maxParts || p.ContentLength < 1:
			return fmt.Errorf("part %d of %d bytes", p.PartNumber, p.ContentLength)
		case p.PartNumber < due:
			return fmt.Errorf("part %d where part %d or a later one is due", p.PartNumber, due)
		default:
			due = p.PartNumber + 1
		}
	}
	if a.NextPartNumber == nil {
		return nil
	}
	next := *a.NextPartNumber
	if next < due || next <= from {
		return errors.New("the list goes in circles: the next page is one that came before")
	}
	if next > maxParts {
		return fmt.Errorf("the next page begins with part %d, over the limit of %d", next, maxParts)
	}
	var last string
	if n := len(a.Parts); n > 0 {
		last = strconv.Itoa(a.Parts[n-1].PartNumber)
	}
	return pages.Next(last, strconv.Itoa(next))
}

// receipt is the part in the writer's terms. A digest that the service did not
// verify cannot be used to finish with, so it is left out.
func (p *partObject) receipt() sluice.Receipt {
	r := sluice.Receipt{Number: p.PartNumber, Size: int64(p.ContentLength)}
	if sum, err := hex.DecodeString(p.ContentSHA1); err == nil && len(sum) == 20 {
		r.Digests = sluice.Digests{{Name: "sha1", Sum: sum}}
	}
	return r
}

// StaleFilter selects unfinished large files to cancel.
type StaleFilter struct {
	// Prefix of the name; "" is all.
	Prefix string
	// OlderThan is how long ago they were started, at least, by the service's
	// clock. 0 selects none, because a large file may be one that another
	// program is uploading; a negative length selects all. One with a
	// FileOptions.UploadTimestamp may count as started then (uncertain).
	OlderThan time.Duration
	// IncludeOtherClients selects those of other programs too, which do not
	// carry this package's tag.
	IncludeOtherClients bool
}

// CancelStale cancels unfinished large files and tells which. What fails does
// not keep it from trying the others. It takes the capability listFiles.
func (b *Backend) CancelStale(ctx context.Context, which StaleFilter) ([]sluice.UnfinishedFile, error) {
	var gone []sluice.UnfinishedFile
	var errs []error
	for f, err := range b.files(ctx, listUnfinished, which.Prefix) {
		_, own := f.FileInfo[tagKey]
		u := f.unfinished(b.client.session.now())
		switch {
		case err != nil:
			errs = append(errs, err)
		case which.OlderThan == 0, which.OlderThan > 0 && u.Age < which.OlderThan, !own && !which.IncludeOtherClients, !strings.HasPrefix(f.FileName, which.Prefix):
		default:
			if err := b.cancel(ctx, f.FileID); err != nil {
				errs = append(errs, fmt.Errorf("large file %s: %w", f.FileID, err))
				continue
			}
			gone = append(gone, u)
		}
	}
	return gone, errors.Join(errs...)
}
