package s3backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// maxListed bounds what Unfinished holds of a list to sort it, in bytes.
const maxListed = 16 << 20

// Unfinished lists unfinished multipart uploads, those of other programs
// included, oldest first, as far as the store's clock tells them apart: many
// tell whole seconds. Of a list that takes more than 16 MiB, some 50,000 uploads,
// those that come first by name are listed, and then an error says that there
// are more. It takes the permission s3:ListBucketMultipartUploads.
//
// MinIO lists uploads by their exact name or all of them, but not by a prefix.
// If the prefix finds no other name than itself, the list is therefore asked for
// once more without a prefix. If the credentials do not permit that, the list is
// of the exact name, and if it is empty an error says so.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		uploads, err := b.gather(ctx, prefix, prefix)
		other := func(u sluice.UnfinishedFile) bool { return u.Spec.Name != prefix }
		if err == nil && prefix != "" && !slices.ContainsFunc(uploads, other) {
			all, failed := b.gather(ctx, "", prefix)
			for _, u := range all {
				if other(u) {
					uploads = append(uploads, u)
				}
			}
			e, _ := errors.AsType[*Error](failed)
			switch denied := e != nil && e.Status == http.StatusForbidden; {
			case !denied:
				err = failed
			case len(uploads) == 0:
				err = fmt.Errorf("s3backend: no unfinished upload is listed by the prefix %q, but some stores list exact names only, "+
					"and the credentials do not permit a list of the whole bucket (s3:ListBucketMultipartUploads): %w", prefix, failed)
			}
		}
		// The store sorts by name and then by age (S3 API reference,
		// ListMultipartUploads: documented).
		slices.SortStableFunc(uploads, func(x, y sluice.UnfinishedFile) int { return x.Started.Compare(y.Started) })
		for _, u := range uploads {
			if !yield(u, nil) {
				return
			}
		}
		if err != nil {
			yield(sluice.UnfinishedFile{Spec: sluice.FileSpec{Size: sluice.UnknownSize}}, err)
		}
	}
}

// gather lists, by one prefix, the unfinished uploads of another, in the store's
// order. With an error it returns those that came before it.
func (b *Backend) gather(ctx context.Context, by, prefix string) ([]sluice.UnfinishedFile, error) {
	var uploads []sluice.UnfinishedFile
	size := 0
	for u, err := range b.uploads(ctx, by) {
		switch {
		case err != nil:
			return uploads, err
		case !strings.HasPrefix(u.Spec.Name, prefix):
			continue
		case size > maxListed:
			return uploads, fmt.Errorf("s3backend: there are more unfinished uploads than the %d listed; list them by longer prefixes", len(uploads))
		}
		size += 200 + len(u.ID) + len(u.Spec.Name) // with what the value itself takes
		uploads = append(uploads, u)
	}
	return uploads, nil
}

// uploads lists unfinished uploads in the store's order.
func (b *Backend) uploads(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		for page, err := range b.pages(ctx, "ListMultipartUploads", "ListMultipartUploadsResult", prefix, url.Values{"uploads": {""}}) {
			if hasCode(err, "NoSuchUpload") { // of a bucket that has none: gofakes3
				return
			}
			if err != nil {
				yield(sluice.UnfinishedFile{}, err)
				return
			}
			for _, u := range page.Uploads {
				f := sluice.UnfinishedFile{
					ID: u.UploadID, Started: u.Initiated.Time,
					Spec: sluice.FileSpec{Name: u.Key, Size: sluice.UnknownSize},
				}
				if !u.Initiated.IsZero() {
					f.Age = max(0, page.now.Sub(f.Started)) // now is in whole seconds
				}
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

// ResumeLargeFile opens an unfinished multipart upload; see [sluice.Backend].
// What an upload was started with but for its name the store does not tell, so
// nothing else is compared. Where the store lists no checksums of the parts,
// their ETags are compared, which are MD5s unless [Options.OpaqueETags] or the
// file's encryption say otherwise. It takes the permission
// s3:ListMultipartUploadParts, and without an ID s3:ListBucketMultipartUploads;
// s3:GetObject lets it see that the name has a newer file.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	asked, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	if id == "" {
		newest := sluice.UnfinishedFile{}
		for u, err := range b.uploads(ctx, spec.Name) {
			if err != nil {
				return nil, err
			}
			if u.Spec.Name == spec.Name && !u.Started.Before(newest.Started) {
				newest = u
			}
		}
		if newest.ID == "" {
			return nil, fmt.Errorf("s3backend: unfinished large file of name %q: %w", spec.Name, fs.ErrNotExist)
		}
		// Times are in whole seconds. Without the permission to read, nothing
		// is known of a newer file.
		if file, err := b.head(ctx, spec.Name, noChecksum); err == nil && !file.modified.Before(newest.Started.Truncate(time.Second)) {
			return nil, fmt.Errorf("s3backend: unfinished large file of name %q, newer than the finished one: %w", spec.Name, fs.ErrNotExist)
		}
		id = newest.ID
	}
	f := b.open(id, spec.Name, asked)
	stored, algorithm, err := f.parts(ctx)
	if isGone(err) {
		return nil, fmt.Errorf("s3backend: unfinished large file %s of name %q: %w: %w", id, spec.Name, fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	f.continues(algorithm, stored)
	for _, p := range stored {
		if sum := b.tagDigest(p.ETag); sum != nil && len(p.Digests) == 0 {
			p.Digests = sluice.Digests{{Name: tagAlgorithm.Name, Sum: sum}}
		}
		f.info.Stored = append(f.info.Stored, p.Receipt)
	}
	f.info.Algorithms = append(algorithms(), tagAlgorithm)
	return f, nil
}

// Parts lists the parts that the store holds of an unfinished large file, by
// rising number. The error matches [fs.ErrNotExist] if the large file is gone.
// It takes the permission s3:ListMultipartUploadParts.
func (b *Backend) Parts(ctx context.Context, u sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	f := b.open(u.ID, u.Spec.Name, nil)
	parts, _, err := f.parts(ctx)
	if isGone(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("s3backend: unfinished large file %s of name %q: %w", u.ID, u.Spec.Name, err)
	}
	return parts, nil
}

// continues has a resumed upload keep the checksum that it was started
// with: the store would reject another one. Where the store does not tell it, as
// SeaweedFS, that of this run is tried first.
func (f *largeFile) continues(algorithm string, stored []sluice.StoredPart) {
	i := slices.IndexFunc(kept, func(c checksum) bool {
		return strings.EqualFold(algorithm, c.name) || algorithm == "" && len(stored) > 0 && stored[0].Digests.Get(c.name) != nil
	})
	if f.untold = i < 0; f.untold {
		return
	}
	f.checksum = kept[i]
	for _, p := range stored {
		if sum := p.Digests.Get(f.checksum.name); sum != nil {
			f.sums[p.Number] = sum
		}
	}
}

// parts lists the parts that the store holds, by rising number, and the algorithm
// of their checksums, "" where the store does not tell it.
func (f *largeFile) parts(ctx context.Context) (found []sluice.StoredPart, algorithm string, err error) {
	last, most := 0, max(defaultMaxParts, f.backend.limits.MaxParts)
	for {
		var page listPartsAnswer
		k := f.call("ListParts", http.MethodGet, nil)
		if last > 0 {
			k.query.Set("part-number-marker", strconv.Itoa(last))
		}
		k.read = func(h http.Header, body io.Reader) error {
			if err := decoder(&page)(h, body); err != nil {
				return err
			}
			return page.check(last, most)
		}
		if err := f.backend.client.do(ctx, k); err != nil {
			return nil, "", err
		}
		for _, p := range page.Parts {
			last = p.PartNumber
			r := sluice.Receipt{Number: p.PartNumber, Size: p.Size, ETag: p.ETag, Digests: p.digests()}
			found = append(found, sluice.StoredPart{Receipt: r, Stored: p.LastModified.Time})
		}
		if !page.IsTruncated {
			return found, page.ChecksumAlgorithm, nil
		}
	}
}
