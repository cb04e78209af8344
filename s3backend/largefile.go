package s3backend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// largeFile is a multipart upload.
type largeFile struct {
	backend *Backend
	name    string
	info    sluice.LargeFileInfo
	life    life.Cycle
}

var _ sluice.LargeFile = (*largeFile)(nil)

// StartLargeFile begins a multipart upload by CreateMultipartUpload. If ctx ends while the answer is under way it
// is waited for, five seconds at most, and the upload cancelled. An upload whose answer was lost cannot be told
// from one that another program starts for the same name: it is left to [Backend.Unfinished] or to a lifecycle
// rule of the bucket (AbortIncompleteMultipartUpload), with a warning to the logger.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	h, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	h.Set("X-Amz-Checksum-Algorithm", b.checksum.code)
	var answer createAnswer
	k := &call{
		name: "CreateMultipartUpload", method: http.MethodPost, key: spec.Name, query: url.Values{"uploads": {""}},
		header: h, secrets: b.options.Encryption.secrets(),
		read: func(h http.Header, body []byte) error {
			if err := decoder(&answer)(h, body); err != nil {
				return err
			}
			if answer.UploadID == "" {
				return errors.New("no upload ID")
			}
			return nil
		},
	}
	longer, cancel := retry.Outlive(ctx, retry.StartGrace)
	defer cancel()
	err = b.client.retry(ctx, k, nil, func(ctx context.Context) error {
		sent, err := b.client.once(ctx, longer, k)
		if err != nil && sent && mayBeDone(err) {
			b.client.log.Warn("s3: the answer to a start was lost: an unfinished upload may be left",
				slog.String("bucket", b.client.bucket), slog.String("name", spec.Name), slog.Any("error", err))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f := b.open(answer.UploadID, spec.Name, nil)
	if ctx.Err() == nil {
		return f, nil
	}
	cleaning, cancelCleaning := retry.Detached(ctx, retry.CleanupTime)
	defer cancelCleaning()
	if cleanup := f.Cancel(cleaning); cleanup != nil {
		return nil, fmt.Errorf("%w; large file %s is left unfinished: %v", retry.Ended(ctx, nil), answer.UploadID, cleanup)
	}
	return nil, retry.Ended(ctx, nil)
}

// open returns the handle of an unfinished upload.
func (b *Backend) open(id, name string, stored []sluice.Receipt) *largeFile {
	return &largeFile{
		backend: b, name: name, life: life.Cycle{Name: "s3backend: large file " + id},
		info: sluice.LargeFileInfo{ID: id, Stored: stored},
	}
}

// Info is the upload's ID and, of a resumed one, the parts that are stored.
func (f *largeFile) Info() sluice.LargeFileInfo { return f.info }

// call is a call about the upload.
func (f *largeFile) call(name, method string, query url.Values) *call {
	k := &call{
		name: name, method: method, key: f.name, query: url.Values{"uploadId": {f.info.ID}}, header: make(http.Header),
		secrets: f.backend.options.Encryption.secrets(),
		read:    func(http.Header, []byte) error { return nil },
	}
	maps.Copy(k.query, query)
	f.backend.options.Encryption.setCustomer(k.header)
	return k
}

// UploadPart stores a part. A repeat replaces it (S3 API reference, UploadPart: documented). If ctx ends when all bytes
// are out, the answer is waited for, two seconds at most: a part that arrives after the upload was cancelled could
// bring it back.
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if err := f.life.Require(life.Open, life.Open); err != nil {
		return sluice.Receipt{}, err
	}
	b := f.backend
	if p.Number < 1 || p.Number > b.limits.MaxParts {
		return sluice.Receipt{}, fmt.Errorf("s3backend: part number %d is not in 1 to %d", p.Number, b.limits.MaxParts)
	}
	if p.Size < 1 || p.Size > maxPart {
		return sluice.Receipt{}, fmt.Errorf("s3backend: part %d of %d bytes; a part has 1 to %d bytes", p.Number, p.Size, int64(maxPart))
	}
	sum, err := b.checksum.of(p)
	if err != nil {
		return sluice.Receipt{}, err
	}
	var said stored
	k := f.call("UploadPart", http.MethodPut, url.Values{"partNumber": {strconv.Itoa(p.Number)}})
	k.header.Set(b.checksum.header, base64.StdEncoding.EncodeToString(sum))
	k.part, k.sum = p, b.checksum.payload(sum)
	k.read = func(h http.Header, _ []byte) error { return said.read(h, b.checksum, sum) }
	longer, cancel := retry.Outlive(ctx, partGrace)
	defer cancel()
	if err := b.client.retry(ctx, k, nil, func(ctx context.Context) error {
		_, err := b.client.once(ctx, longer, k)
		return err
	}); err != nil {
		return sluice.Receipt{}, err
	}
	return sluice.Receipt{Number: p.Number, Size: p.Size, Digests: said.digests, Tag: said.tag}, nil
}

// cancelAttempts is how often an upload is cancelled that is still there afterwards.
const cancelAttempts = 3

// Cancel removes the upload and its parts by AbortMultipartUpload. A part whose request was given up may still
// arrive afterwards and stay, so it looks whether the upload is gone, and cancels again if not (S3 API reference,
// AbortMultipartUpload: documented). It refuses while a finish is open or its outcome is unknown: a store that is
// at work on one could be made to lose the file.
func (f *largeFile) Cancel(ctx context.Context) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	if may, err := f.life.MayCancel(); !may {
		return err
	}
	for range cancelAttempts {
		if err := f.backend.client.do(ctx, f.call("AbortMultipartUpload", http.MethodDelete, nil)); err != nil && !isGone(err) {
			return err
		}
		err := f.exists(ctx)
		if _, ok := errors.AsType[*Error](err); ok && decide(err) == final { // gone, or we may not look
			f.life.Become(life.Cancelled)
			return nil
		}
		if err != nil {
			return fmt.Errorf("s3backend: large file %s was cancelled, but looking whether it is gone failed: %w", f.info.ID, err)
		}
	}
	return fmt.Errorf("s3backend: large file %s is still there after it was cancelled %d times", f.info.ID, cancelAttempts)
}

// exists is nil if the upload is unfinished, as far as the store tells; isGone if it is not there. It takes the
// permission s3:ListMultipartUploadParts.
func (f *largeFile) exists(ctx context.Context) error {
	var answer listPartsAnswer
	k := f.call("ListParts", http.MethodGet, url.Values{"max-parts": {"1"}})
	k.read = decoder(&answer)
	return f.backend.client.do(ctx, k)
}
