package s3backend

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Unfinished lists unfinished multipart uploads, those of other programs included, oldest first, as far as the
// store's clock tells them apart: many tell whole seconds. It takes the permission
// s3:ListBucketMultipartUploads.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		uploads, err := b.uploads(ctx, prefix)
		if err != nil {
			yield(sluice.UnfinishedFile{Spec: sluice.FileSpec{Size: sluice.UnknownSize}}, err)
			return
		}
		// The store sorts by name and then by age (S3 API reference, ListMultipartUploads: documented).
		slices.SortStableFunc(uploads, func(x, y sluice.UnfinishedFile) int { return x.Started.Compare(y.Started) })
		for _, u := range uploads {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// uploads lists unfinished uploads in the store's order.
func (b *Backend) uploads(ctx context.Context, prefix string) ([]sluice.UnfinishedFile, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	var found []sluice.UnfinishedFile
	query := url.Values{"uploads": {""}, "encoding-type": {"url"}}
	if prefix != "" {
		query.Set("prefix", prefix)
	}
	for {
		var page listUploadsAnswer
		k := &call{name: "ListMultipartUploads", method: http.MethodGet, query: query}
		k.read = func(h http.Header, body []byte) error {
			if err := decoder(&page)(h, body); err != nil {
				return err
			}
			return page.settle(query)
		}
		if err := b.client.do(ctx, k); err != nil {
			return nil, err
		}
		for _, u := range page.Uploads {
			found = append(found, sluice.UnfinishedFile{
				ID: u.UploadID, Started: u.Initiated,
				Spec: sluice.FileSpec{Name: u.Key, Size: sluice.UnknownSize},
			})
		}
		if !page.IsTruncated {
			return found, nil
		}
		query.Set("key-marker", page.NextKeyMarker)
		query.Set("upload-id-marker", page.NextUploadIDMarker)
	}
}

// ResumeLargeFile opens an unfinished multipart upload; see [sluice.Backend]. What an upload was started with but
// for its name the store does not tell, so nothing else is compared; one that holds more than spec.Size bytes
// is refused. It takes the permission s3:ListMultipartUploadParts, and without an ID s3:ListBucketMultipartUploads.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	if _, err := b.describe(spec); err != nil {
		return nil, err
	}
	if id == "" {
		uploads, err := b.uploads(ctx, spec.Name)
		if err != nil {
			return nil, err
		}
		newest := sluice.UnfinishedFile{}
		for _, u := range uploads {
			if u.Spec.Name == spec.Name && !u.Started.Before(newest.Started) {
				newest = u
			}
		}
		if newest.ID == "" {
			return nil, fmt.Errorf("s3backend: unfinished large file of name %q: %w", spec.Name, fs.ErrNotExist)
		}
		id = newest.ID
	}
	f := b.open(id, spec.Name, nil)
	stored, err := f.parts(ctx)
	if isGone(err) {
		return nil, fmt.Errorf("s3backend: unfinished large file %s of name %q: %w: %w", id, spec.Name, fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	var size int64
	for _, p := range stored {
		size += p.Size
		f.info.Stored = append(f.info.Stored, p.Receipt)
	}
	if spec.Size >= 0 && size > spec.Size {
		return nil, fmt.Errorf("s3backend: unfinished large file %s holds %d bytes, %d were declared", id, size, spec.Size)
	}
	return f, nil
}

// Parts lists the parts that the store holds of an unfinished large file, by rising number. The error matches
// [fs.ErrNotExist] if the large file is gone. It takes the permission s3:ListMultipartUploadParts.
func (b *Backend) Parts(ctx context.Context, u sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	f := b.open(u.ID, u.Spec.Name, nil)
	parts, err := f.parts(ctx)
	if isGone(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("s3backend: unfinished large file %s of name %q: %w", u.ID, u.Spec.Name, err)
	}
	return parts, nil
}

// parts lists the parts that the store holds, by rising number.
func (f *largeFile) parts(ctx context.Context) ([]sluice.StoredPart, error) {
	var found []sluice.StoredPart
	last := 0
	for {
		var page listPartsAnswer
		k := f.call("ListParts", http.MethodGet, nil)
		if last > 0 {
			k.query.Set("part-number-marker", strconv.Itoa(last))
		}
		k.read = func(h http.Header, body []byte) error {
			if err := decoder(&page)(h, body); err != nil {
				return err
			}
			return page.check(last)
		}
		if err := f.backend.client.do(ctx, k); err != nil {
			return nil, err
		}
		for _, p := range page.Parts {
			last = p.PartNumber
			r := sluice.Receipt{Number: p.PartNumber, Size: p.Size, Tag: p.ETag}
			for name, text := range map[string]string{"sha256": p.ChecksumSHA256, "crc32c": p.ChecksumCRC32C} {
				if sum, err := base64.StdEncoding.DecodeString(text); err == nil && text != "" {
					r.Digests = append(r.Digests, sluice.Digest{Name: name, Sum: sum})
				}
			}
			found = append(found, sluice.StoredPart{Receipt: r, Stored: p.LastModified})
		}
		if !page.IsTruncated {
			return found, nil
		}
	}
}
