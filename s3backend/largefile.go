package s3backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

type largeFile struct {
	backend *Backend
	name    string
	ownTag  string      // that the upload was started with, "" if that is not known
	asked   http.Header // what is to be verified of the finished file
	info    sluice.LargeFileInfo
	state   uploadstate.Tracker

	checksum checksum    // that it was started with
	untold   bool        // the store has not told which that was
	bare     atomic.Bool // the store rejects the checksums of its parts

	mu   sync.Mutex
	sums map[int][]byte // checksums of parts that come without them in receipts, by number
}

var _ sluice.LargeFile = (*largeFile)(nil)

// StartLargeFile begins a multipart upload by CreateMultipartUpload. If ctx
// ends while the answer is under way it is waited for, five seconds at most,
// and the upload cancelled. An upload whose answer was lost cannot be told from
// one that another program starts for the same name: it is left to
// [Backend.Unfinished] or to a lifecycle rule of the bucket
// (AbortIncompleteMultipartUpload), with a warning to the logger; an error
// matches [sluice.ErrLeftBehind] then. If an upload that was started as ctx
// ended cannot be cancelled, it is returned.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	h, err := b.describe(spec)
	if err == nil && ctx.Err() == nil {
		err = b.verifyNew(ctx, spec.Name)
	}
	if err != nil {
		return nil, err
	}
	var answer createAnswer
	var told http.Header
	k := &call{
		name: "CreateMultipartUpload", method: http.MethodPost, key: spec.Name, query: url.Values{"uploads": {""}},
		secrets: b.options.Encryption.secrets(),
		read: func(h http.Header, body io.Reader) error {
			if err := decoder(&answer)(h, body); err != nil {
				return err
			}
			if answer.UploadID == "" {
				return errors.New("no upload ID")
			}
			told = h
			return nil
		},
	}
	result := retry.Result{Outcome: retry.NotDone}
	sum, err := b.client.protection.try(b.client.protection.possible(), func(sum checksum) error {
		k.header = h.Clone()
		sum.start(k.header)
		result, err = b.client.commitAfter(ctx, result, k, retry.Commit{Repeat: true, Grace: retry.StartGrace, Doubt: sluice.ErrLeftBehind})
		return err
	})
	if err != nil {
		return nil, err
	}
	if result.Lost != nil {
		b.client.log.Warn("s3: the answer to a start was lost: an unfinished upload may be left",
			slog.String("bucket", b.client.bucket), slog.String("name", spec.Name), slog.Any("error", result.Lost))
	}
	f := b.open(answer.UploadID, spec.Name, withoutEncryption(h))
	f.ownTag, f.checksum = h.Get(tagHeader), sum
	b.client.protection.started(sum, told)
	refused := f.verifyStart(ctx, h, told)
	if ctx.Err() == nil && refused == nil {
		return f, nil
	}
	cleaning, cancel := retry.Detached(ctx, retry.CleanupTime)
	defer cancel()
	left := f.Cancel(cleaning)
	switch {
	case refused != nil && left != nil:
		return nil, fmt.Errorf("%w: %w; cancelling it: %w", sluice.ErrLeftBehind, refused, left)
	case refused != nil:
		return nil, refused
	case left != nil:
		return f, nil // the caller can try again, and name it
	}
	err = retry.Ended(ctx, nil)
	if result.Lost != nil {
		err = fmt.Errorf("%w: %w", sluice.ErrLeftBehind, err)
	}
	return nil, err
}

func (b *Backend) open(id, name string, asked http.Header) *largeFile {
	asked = asked.Clone()
	asked.Del("X-Amz-Server-Side-Encryption-Customer-Key") // of which no value keeps a copy
	return &largeFile{
		backend: b, name: name, asked: asked, state: uploadstate.Tracker{Name: "s3backend: large file " + id},
		info: sluice.LargeFileInfo{ID: id}, checksum: b.client.protection.current(), sums: map[int][]byte{},
	}
}

// Format prints the ID, for every verb: the backend holds credentials and keys.
func (f *largeFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "s3 upload "+f.info.ID) }

// Info is the upload's ID and, of a resumed one, the parts that are stored.
func (f *largeFile) Info() sluice.LargeFileInfo { return f.info }

func (f *largeFile) call(name, method string, query url.Values) *call {
	k := &call{
		name: name, method: method, key: f.name, query: url.Values{"uploadId": {f.info.ID}}, header: make(http.Header),
		secrets: f.backend.options.Encryption.secrets(),
		read:    func(http.Header, io.Reader) error { return nil },
	}
	maps.Copy(k.query, query)
	f.backend.options.Encryption.setCustomer(k.header)
	return k
}

// UploadPart stores a part. A repeat replaces it (S3 API reference, UploadPart:
// documented). If ctx ends when all bytes are out, the answer is waited for,
// two seconds at most: a part that arrives after the upload was cancelled could
// bring it back.
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if err := f.state.RequireOpen(); err != nil {
		return sluice.Receipt{}, err
	}
	b := f.backend
	if p.Number < 1 || p.Number > b.limits.MaxParts {
		return sluice.Receipt{}, fmt.Errorf("s3backend: part number %d is not in 1 to %d", p.Number, b.limits.MaxParts)
	}
	if p.Size < 1 || p.Size > maxPart {
		return sluice.Receipt{}, fmt.Errorf("s3backend: part %d of %d bytes; a part has 1 to %d bytes", p.Number, p.Size, int64(maxPart))
	}
	protection := b.client.protection
	sent := f.sent()
	sum, err := sent.of(p)
	if err != nil {
		return sluice.Receipt{}, err
	}
	var said stored
	k := f.call("UploadPart", http.MethodPut, url.Values{"partNumber": {strconv.Itoa(p.Number)}})
	sent.set(k.header, sum)
	k.part = p
	if k.sum, err = protection.payload(p, sent); err != nil {
		return sluice.Receipt{}, err
	}
	k.read = func(h http.Header, _ io.Reader) error { return said.read(h, sent, sum) }
	if _, err := b.client.commit(ctx, k, retry.Commit{Repeat: true, Grace: partGrace}); err != nil {
		if f.givesUp(sent, err) {
			f.bare.Store(true)
			return f.UploadPart(ctx, p)
		}
		return sluice.Receipt{}, err
	}
	f.settle(sent)
	protection.received(sent, said.header)
	if sent.keeps() && p.Digests.Get(sent.name) == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sums[p.Number] = sum
	}
	return sluice.Receipt{Number: p.Number, Size: p.Size, Digests: said.digests, ETag: said.tag}, nil
}

func (f *largeFile) sent() checksum {
	if f.bare.Load() {
		return noChecksum
	}
	return f.checksum
}

// givesUp reports whether the checksum may be given up because of an error. If it
// is not known what the upload was started with, the store may take the parts and
// not find them when they are named with it.
func (f *largeFile) givesUp(sum checksum, err error) bool {
	if f.untold {
		return sum.name != "" && (rejectsChecksum(err) || hasCode(err, "InvalidPart"))
	}
	return f.backend.client.protection.givesUp(sum, err)
}

// settle has later files sent without a checksum if that was given up.
func (f *largeFile) settle(sum checksum) {
	if sum.name == "" && f.checksum.name != "" && !f.untold {
		f.backend.client.protection.settle(sum)
	}
}

// sum is the checksum of a part that its receipt lacks, nil if there is none.
func (f *largeFile) sum(number int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sums[number]
}

// Cancel removes the upload and its parts by AbortMultipartUpload. A part whose
// request was given up may still arrive afterwards and stay, so it looks
// whether the upload is gone, and cancels again if not (S3 API reference,
// AbortMultipartUpload: documented); a list that lags is given some seconds. It
// refuses while a finish is open or its outcome is unknown: a store that is at
// work on one could be made to lose the file.
func (f *largeFile) Cancel(ctx context.Context) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	if may, err := f.state.MayCancel(); !may {
		return err
	}
	c := f.backend.client
	var failure error
	c.policy.Poll(ctx, func(ctx context.Context) bool {
		abort := f.call("AbortMultipartUpload", http.MethodDelete, nil)
		failure = c.do(ctx, abort)
		gone := isGone(failure)
		if failure != nil && !gone {
			return true
		}
		failure = f.cancelled(ctx, gone || abort.status == http.StatusNoContent)
		return failure == nil
	})
	if failure == nil {
		f.state.Set(uploadstate.Cancelled)
	}
	return failure
}

// cancelled says why the upload may still be there after it was cancelled. If it
// may not be looked for, the store's word has to do, which word is: a gateway's
// page would be no such.
func (f *largeFile) cancelled(ctx context.Context, word bool) error {
	err := f.exists(ctx, f.backend.client.do)
	if err == nil {
		return fmt.Errorf("s3backend: large file %s is still there after it was cancelled", f.info.ID)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		if d, _ := classify(err); isGone(err) || word && d == final {
			return nil
		}
	}
	return fmt.Errorf("s3backend: large file %s was cancelled, but looking whether it is gone failed: %w", f.info.ID, err)
}

// exists is nil if the upload is unfinished, as far as the store tells; isGone
// if it is not there. It takes the permission s3:ListMultipartUploadParts. by
// makes the call.
func (f *largeFile) exists(ctx context.Context, by func(context.Context, *call) error) error {
	var answer listPartsAnswer
	k := f.call("ListParts", http.MethodGet, url.Values{"max-parts": {"1"}})
	k.read = decoder(&answer)
	return by(ctx, k)
}
