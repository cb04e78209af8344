package b2backend

import (
	"context"
	"encoding/hex"
	"iter"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
)

// Page sizes: the most that each call takes (documented). Versions are billed by the thousand.
const (
	unfinishedPage = 100
	partsPage      = 1000
	versionsPage   = 1000
)

// unfinished lists the unfinished large files whose names begin with prefix, oldest first. A key restricted to a
// prefix must say so (documented).
func (b *Backend) unfinished(ctx context.Context, prefix string) iter.Seq2[fileObject, error] {
	return func(yield func(fileObject, error) bool) {
		switch own := b.first.namePrefix; {
		case strings.HasPrefix(prefix, own):
		case strings.HasPrefix(own, prefix):
			prefix = own
		default:
			return
		}
		request := listUnfinishedRequest{BucketID: b.bucket.ID, NamePrefix: prefix, MaxFileCount: unfinishedPage}
		for {
			var page listFilesAnswer
			check := func() error { return page.check(listUnfinished.name, request.StartFileID) }
			if err := b.client.callFor(ctx, listUnfinished, request, &page, check, nil); err != nil {
				yield(fileObject{}, err)
				return
			}
			for i := range page.Files {
				if !yield(page.Files[i], nil) {
					return
				}
			}
			if page.NextFileID == "" {
				return
			}
			request.StartFileID = page.NextFileID
		}
	}
}

// versions lists all versions of one name, newest first, unfinished ones and hide markers among them.
func (b *Backend) versions(ctx context.Context, name string) iter.Seq2[fileObject, error] {
	return func(yield func(fileObject, error) bool) {
		request := listVersionsRequest{BucketID: b.bucket.ID, StartFileName: name, Prefix: name, MaxFileCount: versionsPage}
		for {
			var page listFilesAnswer
			check := func() error { return page.check(listVersions.name, request.StartFileID) }
			if err := b.client.callFor(ctx, listVersions, request, &page, check, nil); err != nil {
				yield(fileObject{}, err)
				return
			}
			for i := range page.Files {
				// The prefix lets longer names in, which follow.
				if page.Files[i].FileName != name || !yield(page.Files[i], nil) {
					return
				}
			}
			if page.NextFileName != name || page.NextFileID == "" {
				return
			}
			request.StartFileID = page.NextFileID
		}
	}
}

// check says why a page that was asked for from a file on is not usable.
func (a *listFilesAnswer) check(call, from string) error {
	if from != "" && a.NextFileID == from {
		return unusable(call, "the next page is the same")
	}
	return nil
}

// parts lists the parts of an unfinished large file by rising number.
func (b *Backend) parts(ctx context.Context, id string) ([]sluice.StoredPart, error) {
	var parts []sluice.StoredPart
	request := listPartsRequest{FileID: id, MaxPartCount: partsPage}
	for {
		var page listPartsAnswer
		check := func() error { return page.check(request.StartPartNumber) }
		if err := b.client.callFor(ctx, listParts, request, &page, check, nil); err != nil {
			return nil, err
		}
		for i := range page.Parts {
			p := &page.Parts[i]
			parts = append(parts, sluice.StoredPart{Receipt: p.receipt(), Stored: time.UnixMilli(p.Uploaded).UTC()})
		}
		if page.NextPartNumber == nil {
			return parts, nil
		}
		request.StartPartNumber = *page.NextPartNumber
	}
}

// check says why a page that was asked for from a number on is not usable.
func (a *listPartsAnswer) check(from int) error {
	due := max(1, from)
	for i := range a.Parts {
		switch p := &a.Parts[i]; {
		case p.PartNumber > maxParts || p.ContentLength < 1:
			return unusable(listParts.name, "part %d of %d bytes", p.PartNumber, p.ContentLength)
		case p.PartNumber < due:
			return unusable(listParts.name, "part %d where part %d or a later one is due", p.PartNumber, due)
		default:
			due = p.PartNumber + 1
		}
	}
	if next := a.NextPartNumber; next != nil && (*next < due || *next <= from) {
		return unusable(listParts.name, "the next page is the same")
	}
	return nil
}

// receipt is the part in the writer's terms. A digest that the service did not verify cannot be used to finish
// with, so it is left out.
func (p *partObject) receipt() sluice.Receipt {
	r := sluice.Receipt{Number: p.PartNumber, Size: p.ContentLength}
	if sum, err := hex.DecodeString(p.ContentSHA1); err == nil && len(sum) == 20 {
		r.Digests = sluice.Digests{{Name: "sha1", Sum: sum}}
	}
	return r
}

// canList tells whether the key may list files, unfinished ones included.
func (b *Backend) canList() bool { return b.first.can("listFiles") }
