package memorybackend

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// upload is a large file in the store. Any number of handles may be open on it.
type upload struct {
	id       string
	sequence int // of its id: a newer one is larger
	spec     sluice.FileSpec
	plan     []int64
	started  time.Time

	mu    sync.Mutex // never held while waiting, copying or hashing
	state state
	tags  int // the last tag given; every part stored gets one of its own, so a stale receipt shows
	parts map[int]storedPart
}

// storedPart is a part as it came. data is nil if the bytes were dropped.
type storedPart struct {
	data    []byte
	receipt sluice.Receipt
}

type state int

const (
	unfinished state = iota
	finishing        // the digests of the whole are being computed
	finished
	cancelled
)

func (s state) String() string {
	return [...]string{"unfinished", "being finished", "finished", "cancelled"}[s]
}

// largeFile is the handle that one StartLargeFile or ResumeLargeFile returned.
type largeFile struct {
	backend *Backend
	upload  *upload
	info    sluice.LargeFileInfo
	running atomic.Int64 // UploadPart calls on this handle
}

var _ sluice.LargeFile = (*largeFile)(nil)

func (b *Backend) handle(u *upload) *largeFile {
	info := sluice.LargeFileInfo{ID: u.id, PartSizes: u.plan}
	u.mu.Lock()
	for _, p := range u.parts {
		info.Stored = append(info.Stored, p.receipt)
	}
	u.mu.Unlock()
	slices.SortFunc(info.Stored, func(x, y sluice.Receipt) int { return x.Number - y.Number })
	return &largeFile{backend: b, upload: u, info: info}
}

// Info returns the same value in every call; its slices are not to be changed.
func (f *largeFile) Info() sluice.LargeFileInfo { return f.info }

// UploadPart stores a part that comes with correct digests by
// Limits.PartDigests. The smallest part size is checked by Finish, when it is
// known which part is the last.
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	f.running.Add(1)
	defer f.running.Add(-1)
	if err := f.checkPart(p); err != nil {
		return sluice.Receipt{}, err
	}
	algorithms := f.backend.limits.PartDigests
	digests, err := selectDigests(p.Digests, algorithms)
	if err != nil {
		return sluice.Receipt{}, err
	}
	if err := f.backend.travel(ctx); err != nil {
		return sluice.Receipt{}, err
	}
	if err := f.upload.expect(unfinished); err != nil {
		return sluice.Receipt{}, err
	}
	data, err := f.backend.receive(ctx, p, algorithms)
	if err != nil {
		return sluice.Receipt{}, err
	}
	return f.upload.store(storedPart{
		data:    data,
		receipt: sluice.Receipt{Number: p.Number, Size: p.Size, Digests: digests},
	})
}

func (f *largeFile) checkPart(p *sluice.Part) error {
	limits, u := &f.backend.limits, f.upload
	switch {
	case p.Number < 1:
		return fmt.Errorf("memorybackend: part number %d is below 1", p.Number)
	case limits.MaxParts > 0 && p.Number > limits.MaxParts:
		return fmt.Errorf("memorybackend: part number %d is above the largest, %d", p.Number, limits.MaxParts)
	case limits.MaxPart > 0 && p.Size > limits.MaxPart:
		return fmt.Errorf("memorybackend: part %d has %d bytes, a part has at most %d", p.Number, p.Size, limits.MaxPart)
	case u.plan == nil:
		return nil
	case p.Number > len(u.plan):
		return fmt.Errorf("memorybackend: part number %d is above the last of the plan, %d", p.Number, len(u.plan))
	case p.Size != u.plan[p.Number-1]:
		return fmt.Errorf("memorybackend: part %d has %d bytes, the plan says %d", p.Number, p.Size, u.plan[p.Number-1])
	}
	return nil
}

func (u *upload) expect(want state) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.expectLocked(want)
}

func (u *upload) expectLocked(want state) error {
	switch u.state {
	case want:
		return nil
	case cancelled:
		return fmt.Errorf("memorybackend: large file %s is cancelled: %w", u.id, fs.ErrNotExist)
	default:
		return fmt.Errorf("memorybackend: large file %s is %v, not %v", u.id, u.state, want)
	}
}

// store records p under its number, in place of an earlier one.
func (u *upload) store(p storedPart) (sluice.Receipt, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.expectLocked(unfinished); err != nil {
		return sluice.Receipt{}, err
	}
	u.tags++
	p.receipt.ETag = strconv.Itoa(u.tags)
	u.parts[p.receipt.Number] = p
	return p.receipt, nil
}

// Finish makes the file visible if parts are the receipts of all parts stored,
// every part but the last has the smallest size, none but an only one is empty,
// and whole has correct digests by Limits.WholeDigests.
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	if n := f.running.Load(); n > 0 {
		return sluice.File{}, fmt.Errorf("memorybackend: finish of large file %s while parts (%d) are being uploaded",
			f.info.ID, n)
	}
	// The request is sent: from here on the outcome does not depend on ctx.
	ctx = context.WithoutCancel(ctx)
	if err := f.backend.travel(ctx); err != nil {
		return sluice.File{}, err
	}
	stored, err := f.upload.beginFinish(parts, &f.backend.limits)
	if err != nil {
		return sluice.File{}, err
	}
	digests, err := f.backend.verifyWhole(stored, whole)
	if err != nil {
		f.upload.setState(unfinished)
		return sluice.File{}, err
	}
	file := sluice.File{
		ID: f.info.ID, Name: f.upload.spec.Name, Size: totalSize(stored), Parts: len(stored), Digests: digests,
	}
	f.backend.publish(file, f.upload.spec, stored)
	f.upload.setState(finished)
	f.upload.dropParts()
	file.Digests = cloneDigests(digests)
	return file, nil
}

// beginFinish checks the receipts, takes the large file for finishing, and
// returns its parts in order.
func (u *upload) beginFinish(parts []sluice.Receipt, limits *sluice.Limits) ([]storedPart, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.expectLocked(unfinished); err != nil {
		return nil, err
	}
	if least := max(1, limits.MinParts); len(parts) < least {
		return nil, fmt.Errorf("memorybackend: large file %s is finished with %d parts, at least %d are needed",
			u.id, len(parts), least)
	}
	if u.plan != nil && len(parts) != len(u.plan) {
		return nil, fmt.Errorf("memorybackend: large file %s is finished with %d parts, the plan has %d",
			u.id, len(parts), len(u.plan))
	}
	stored := make([]storedPart, len(parts))
	for i := range parts {
		p, ok := u.parts[i+1]
		if !ok {
			return nil, fmt.Errorf("memorybackend: part %d of large file %s has not been uploaded", i+1, u.id)
		}
		if err := sameReceipt(parts[i], p.receipt); err != nil {
			return nil, fmt.Errorf("memorybackend: receipt %d of %d for large file %s: %w", i+1, len(parts), u.id, err)
		}
		last := i == len(parts)-1
		if size := p.receipt.Size; !last && size < limits.MinPart {
			return nil, fmt.Errorf("memorybackend: part %d of large file %s has %d bytes, all but the last have at least %d",
				i+1, u.id, size, limits.MinPart)
		} else if first := stored[0].receipt.Size; limits.EqualParts && i > 0 && (size > first || !last && size < first) {
			return nil, fmt.Errorf("memorybackend: part %d of large file %s has %d bytes, the first has %d, and all are to have one size",
				i+1, u.id, size, first)
		} else if size == 0 && len(parts) > 1 {
			return nil, fmt.Errorf("memorybackend: part %d of large file %s is empty", i+1, u.id)
		}
		stored[i] = p
	}
	if len(u.parts) != len(parts) {
		return nil, fmt.Errorf("memorybackend: large file %s is finished with %d parts, %d are stored",
			u.id, len(parts), len(u.parts))
	}
	size := totalSize(stored)
	if u.spec.Size != sluice.UnknownSize && u.spec.Size != size {
		return nil, fmt.Errorf("memorybackend: the parts of large file %s have %d bytes, its size is declared as %d",
			u.id, size, u.spec.Size)
	}
	if limits.MaxFile > 0 && size > limits.MaxFile {
		return nil, fmt.Errorf("memorybackend: the parts of large file %s have %d bytes, a file has at most %d: %w",
			u.id, size, limits.MaxFile, sluice.ErrTooLarge)
	}
	u.state = finishing
	return stored, nil
}

// sameReceipt compares what the caller says of a part with what the store said.
func sameReceipt(got, want sluice.Receipt) error {
	switch {
	case got.Number != want.Number:
		return fmt.Errorf("it is of part %d", got.Number)
	case got.Size != want.Size:
		return fmt.Errorf("it says %d bytes, %d are stored", got.Size, want.Size)
	case got.ETag != want.ETag:
		return fmt.Errorf("its tag is %q, not %q", got.ETag, want.ETag)
	}
	return sameDigests(got.Digests, want.Digests)
}

func (u *upload) setState(s state) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state = s
}

// dropParts frees the memory of parts that cannot be reached through this large file any more.
func (u *upload) dropParts() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = nil
}

// Cancel removes the large file and its parts. A call while parts are being
// uploaded by the same handle removes them too, and says so in an error,
// because the caller has not waited.
func (f *largeFile) Cancel(ctx context.Context) error {
	if err := f.backend.travel(ctx); err != nil {
		return err
	}
	running := f.running.Load()
	removed, err := f.upload.cancel()
	if !removed {
		return err
	}
	f.backend.forget(f.upload)
	if running > 0 {
		return fmt.Errorf("memorybackend: large file %s is cancelled while parts (%d) are being uploaded", f.info.ID, running)
	}
	return nil
}

// cancel reports whether this call is the one that removed the large file.
func (u *upload) cancel() (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.state {
	case unfinished:
		u.state, u.parts = cancelled, nil
		return true, nil
	case finishing:
		return false, u.expectLocked(unfinished)
	default:
		return false, nil
	}
}

func totalSize(parts []storedPart) int64 {
	var total int64
	for i := range parts {
		total += parts[i].receipt.Size
	}
	return total
}
