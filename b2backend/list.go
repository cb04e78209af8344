package b2backend

import (
	"context"
	"encoding/hex"
	"iter"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
)

// Page sizes: the most that each call takes (b2-api: documented). Versions are billed by the thousand.
const (
	unfinishedPage = 100
	partsPage      = 1000
	versionsPage   = 1000
)

// unfinished lists the unfinished large files whose names begin with prefix, oldest first. A key restricted to a
// prefix must say so (b2-api: documented).
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
			if err := b.client.call(ctx, listUnfinished, request, &page); err != nil {
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
			if page.NextFileID == request.StartFileID {
				yield(fileObject{}, unusable(listUnfinished.name, "the next page is the same"))
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
			if err := b.client.call(ctx, listVersions, request, &page); err != nil {
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
			if page.NextFileID == request.StartFileID {
				yield(fileObject{}, unusable(listVersions.name, "the next page is the same"))
				return
			}
			request.StartFileID = page.NextFileID
		}
	}
}

// parts lists the parts of an unfinished large file by rising number.
func (b *Backend) parts(ctx context.Context, id string) ([]sluice.StoredPart, error) {
	var parts []sluice.StoredPart
	request := listPartsRequest{FileID: id, MaxPartCount: partsPage}
	for {
		var page listPartsAnswer
		if err := b.client.call(ctx, listParts, request, &page); err != nil {
			return nil, err
		}
		for i := range page.Parts {
			p := &page.Parts[i]
			if n := len(parts); n > 0 && parts[n-1].Number >= p.PartNumber {
				return nil, unusable(listParts.name, "part %d follows part %d", p.PartNumber, parts[n-1].Number)
			}
			r, err := p.receipt()
			if err != nil {
				return nil, err
			}
			parts = append(parts, sluice.StoredPart{Receipt: r, Stored: time.UnixMilli(p.Uploaded).UTC()})
		}
		if page.NextPartNumber == nil {
			return parts, nil
		}
		if *page.NextPartNumber <= request.StartPartNumber {
			return nil, unusable(listParts.name, "the next page is the same")
		}
		request.StartPartNumber = *page.NextPartNumber
	}
}

// receipt is the part in the writer's terms. A digest that the service did not verify cannot be used to finish
// with, so it is left out.
func (p *partObject) receipt() (sluice.Receipt, error) {
	if p.PartNumber < 1 || p.PartNumber > maxParts || p.ContentLength < 1 {
		return sluice.Receipt{}, unusable(listParts.name, "part %d of %d bytes", p.PartNumber, p.ContentLength)
	}
	r := sluice.Receipt{Number: p.PartNumber, Size: p.ContentLength}
	if sum, err := hex.DecodeString(p.ContentSHA1); err == nil && len(sum) == 20 {
		r.Digests = sluice.Digests{{Name: "sha1", Sum: sum}}
	}
	return r, nil
}

// canList tells whether the key may list files, unfinished ones included.
func (b *Backend) canList() bool { return b.first.can("listFiles") }
