package main

import (
	"cmp"
	"context"
	"io"
	"sync"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// B2's limits, which its server's are as well. A part's and a file's are in bytes.
const (
	minPart  = 5_000_000
	maxPart  = 5_000_000_000
	maxParts = 10_000
	maxFile  = 10_000_000_000_000
)

// limits are those of the store that the job is about, without digests.
func (j job) limits() sluice.Limits {
	var l sluice.Limits
	switch {
	case j.To == toB2 || j.Work == workPost:
		l = sluice.Limits{
			MinPart: cmp.Or(j.Link.MinPart, minPart), MaxPart: maxPart, MinParts: 2, MaxParts: maxParts, MaxFile: maxFile, MaxSingle: maxPart,
		}
	case j.To == toDrop:
		l = drop{}.Limits()
	default:
		l = memorybackend.New(nil).Limits()
	}
	l.PartDigests = nil
	return l
}

// options are what the job's streams are opened with.
func (j job) options(pool *sluice.Pool) *sluice.Options {
	return &sluice.Options{PartSize: j.PartSize, Concurrency: j.Concurrency, Pool: pool}
}

// cuts are the sizes of the parts that a stream is cut into, which grow as it
// goes on. Of the last part it is the whole, which uploads that idle may share.
func cuts(ctx context.Context, j job) ([]int64, error) {
	j.Concurrency = 1
	pool, err := sluice.NewPool(j.Memory, j.PageSize)
	if err != nil {
		return nil, err
	}
	store := &cutter{limits: j.limits()}
	w, err := sluice.New(ctx, store, "cut", j.options(pool))
	if err != nil {
		return nil, err
	}
	defer w.Abort(nil)
	if _, err := w.ReadFrom(&blank{j.Size}); err != nil {
		return nil, err
	}
	return store.sizes, w.Close()
}

// cutter is a store with limits of its own that looks at no byte, and notes how long parts are.
type cutter struct {
	drop
	limits sluice.Limits

	mu    sync.Mutex
	sizes []int64 // of the parts, by number
}

func (c *cutter) Limits() sluice.Limits { return c.limits }

func (c *cutter) note(number int, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.sizes) < number {
		c.sizes = append(c.sizes, 0)
	}
	c.sizes[number-1] = n
}

func (c *cutter) UploadFile(_ context.Context, _ sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	c.note(1, p.Size)
	return sluice.File{ID: "cut", Size: p.Size}, nil
}

func (c *cutter) StartLargeFile(context.Context, sluice.FileSpec) (sluice.LargeFile, error) {
	return c, nil
}

func (c *cutter) UploadPart(_ context.Context, p *sluice.Part) (sluice.Receipt, error) {
	c.note(p.Number, p.Size)
	return sluice.Receipt{Number: p.Number, Size: p.Size}, nil
}

// blank is so many bytes, whichever are in the memory that they are read into.
type blank struct{ left int64 }

func (b *blank) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	b.left -= n
	return int(n), nil
}
