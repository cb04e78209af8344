package b2backend

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/c1508ce4/sluice/internal/httpx"
)

// Page sizes: the most that each call takes, or is billed as one (documented).
const (
	unfinishedPage = 100
	partsPage      = 1000
	filesPage      = 1000
)

// versions lists all versions of one name, newest first, unfinished large files
// and hide markers among them.
func (b *Backend) versions(ctx context.Context, name string) iter.Seq2[fileObject, error] {
	return func(yield func(fileObject, error) bool) {
		for f, err := range b.files(ctx, listVersions, name) {
			if err == nil && f.FileName != name { // longer names follow
				return
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// files lists files whose names begin with prefix, by one of the calls that do.
// A key restricted to a prefix must ask for one at least as narrow
// (documented).
func (b *Backend) files(ctx context.Context, m method, prefix string) iter.Seq2[fileObject, error] {
	return func(yield func(fileObject, error) bool) {
		narrow := prefix
		switch own := b.first.namePrefix; {
		case strings.HasPrefix(prefix, own):
		case strings.HasPrefix(own, prefix):
			narrow = own
		default:
			yield(fileObject{}, fmt.Errorf("b2backend: names that begin with %q are outside of %q, to which the key is restricted", prefix, own))
			return
		}
		request := listFilesRequest{BucketID: b.bucket.ID, Prefix: narrow, MaxFileCount: filesPage}
		if m == listUnfinished {
			request = listFilesRequest{BucketID: b.bucket.ID, NamePrefix: narrow, MaxFileCount: unfinishedPage}
		}
		var pages httpx.Pages
		for {
			var page listFilesAnswer
			k := &call{method: m, request: request, read: into(&page, func() error { return page.check(&pages) })}
			if err := b.client.do(ctx, k); err != nil {
				yield(fileObject{}, err)
				return
			}
			for i := range page.Files {
				if strings.HasPrefix(page.Files[i].FileName, prefix) && !yield(page.Files[i], nil) {
					return
				}
			}
			if page.last() {
				return
			}
			request.StartFileID, request.StartFileName = page.NextFileID, page.NextFileName
		}
	}
}

// IDs are those of the files and of the next page.
func (a *listFilesAnswer) IDs() []string {
	ids := []string{a.NextFileID}
	for i := range a.Files {
		ids = append(ids, a.Files[i].FileID)
	}
	return ids
}

func (a *listFilesAnswer) last() bool { return a.NextFileID == "" && a.NextFileName == "" }

func (a *listFilesAnswer) check(pages *httpx.Pages) error {
	if a.last() {
		return nil
	}
	var last string
	if n := len(a.Files); n > 0 {
		last = a.Files[n-1].FileID
	}
	return pages.Next(last, a.NextFileName+"\n"+a.NextFileID)
}

// canList reports whether the key may list files, unfinished ones included.
func (b *Backend) canList() bool { return b.first.can("listFiles") }
