package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// carry streams, and measures from New to the end of Close.
func carry(ctx context.Context, j job, b sluice.Backend, requests *counter) (sample, error) {
	pool, err := sluice.NewPool(j.Memory, j.PageSize)
	if err != nil {
		return sample{}, err
	}
	page := lab.NewPage()
	streams := make([]*stream, j.writers())
	for i := range streams {
		n := int64(j.writers())
		streams[i] = &stream{job: j, pool: pool, page: page, name: fmt.Sprint("bench", i)}
		streams[i].job.Size = j.Size*int64(i+1)/n - j.Size*int64(i)/n
	}
	together := &together{streams: streams}
	began, cpu := time.Now(), lab.CPU()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range streams {
		group.Go(func() error { return s.run(ctx, b, together) })
	}
	if err := group.Wait(); err != nil {
		return sample{}, err
	}
	sum := sample{Wall: time.Since(began).Seconds(), CPU: lab.CPU() - cpu, Limit: pool.Limit(), Requests: int(requests.n.Load())}
	if len(streams) > 1 {
		sum.Least = together.least
	} else {
		sum.Allocs = streams[0].half.allocs()
	}
	sum.RSS = lab.PeakRSS() // allocates, and so comes last
	for _, s := range streams {
		sum.Bytes += s.writer.File().Size
		sum.Parts += max(1, s.writer.File().Parts)
		sum.Retries += s.writer.Stats().Retries
		sum.Tail = max(sum.Tail, s.ended.Sub(s.last()).Seconds())
		sum.Pages = max(sum.Pages, s.pages.Load())
	}
	if sum.Bytes != j.Size {
		return sum, fmt.Errorf("%d bytes of %d arrived", sum.Bytes, j.Size)
	}
	return sum, nil
}

// stream is one stream of a job.
type stream struct {
	job    job
	name   string
	pool   *sluice.Pool
	page   []byte // that its source repeats
	opened atomic.Pointer[sluice.LargeFileWriter]
	pages  atomic.Int64 // of the Pool, at most
	begun  atomic.Bool  // the store has a part

	writer *sluice.LargeFileWriter
	half   halfway
	last   func() time.Time
	ended  time.Time
}

// run carries the stream from its first byte to the end of Close.
func (s *stream) run(ctx context.Context, b sluice.Backend, t *together) error {
	j := s.job
	half := s.half.mark
	if j.writers() > 1 {
		half = nil // what the process allocates is not one stream's
	}
	source := lab.NewSource(s.page, j.Size, j.Rate, half)
	o := j.options(s.pool)
	o.Hooks = &sluice.Hooks{PartStarted: s.look, PartDone: func(_ sluice.PartEvent, err error) {
		if err == nil && !s.begun.Swap(true) {
			t.begins()
		}
	}}
	w, err := sluice.New(ctx, b, s.name, o)
	if err != nil {
		return err
	}
	defer w.Abort(nil)
	s.writer, s.half.writer, s.last = w, w, source.Last
	s.opened.Store(w)
	switch j.From {
	case fromReader:
		_, err = w.ReadFrom(source)
	case fromWrites:
		err = source.Pieces(pieceSize, w.Write)
	case fromPipe:
		lab.EnlargePipe(os.Stdin)
		pipe := &watched{Reader: os.Stdin, left: j.Size / 2, half: half}
		s.last = func() time.Time { return pipe.last }
		_, err = w.ReadFrom(pipe)
	default:
		err = fmt.Errorf("no source %q", j.From)
	}
	if err != nil {
		return err
	}
	err = w.Close()
	s.ended = time.Now()
	t.ends()
	return err
}

// look notes how much of the Pool is in use.
func (s *stream) look(sluice.PartEvent) {
	now := s.pool.InUse()
	for most := s.pages.Load(); now > most && !s.pages.CompareAndSwap(most, now); most = s.pages.Load() {
	}
}

// halfway counts allocations of the whole process from the middle of a stream,
// when everything is warm.
type halfway struct {
	writer  *sluice.LargeFileWriter
	mallocs uint64
	parts   int
}

func (h *halfway) mark() { h.mallocs, h.parts = h.now() }

func (h *halfway) now() (mallocs uint64, parts int) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs, h.writer.Stats().PartsDone
}

// allocs is for each part since the middle, 0 if there was none.
func (h *halfway) allocs() float64 {
	mallocs, parts := h.now()
	if parts == h.parts {
		return 0
	}
	return float64(mallocs-h.mallocs) / float64(parts-h.parts)
}

// watched notes when half of a pipe's bytes were read, and when the last ones came.
type watched struct {
	io.Reader
	left int64
	half func()
	last time.Time
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.last = time.Now()
	}
	if r.left -= int64(n); r.left <= 0 && r.half != nil {
		r.half()
		r.half = nil
	}
	return n, err
}
