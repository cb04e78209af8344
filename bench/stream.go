package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/memorybackend"
)

// beside is what a client process is allowed beside its pages.
const beside = 24 << 20

// pieceSize is that of the pieces of fromWrites.
const pieceSize = 32 << 10

// order is a job with the server that it needs.
type order struct {
	Job     job
	Server  lab.Address
	Profile string `json:",omitempty"` // file for the stream's CPU profile, "" for none
}

// playStream is the role of a client: it carries one stream, in a process that does nothing else.
func playStream(ctx context.Context, spec json.RawMessage) (any, error) {
	var o order
	if err := json.Unmarshal(spec, &o); err != nil {
		return nil, err
	}
	limit := o.Job.Memory + beside
	if o.Job.To == toMemory {
		limit += o.Job.Size // the store is in this process as well
	}
	debug.SetMemoryLimit(limit)
	var requests counter
	b, err := connect(ctx, o, &requests)
	if err != nil {
		return nil, err
	}
	if o.Profile == "" {
		return carry(ctx, o.Job, b, &requests)
	}
	f, err := os.Create(o.Profile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	defer pprof.StopCPUProfile()
	return carry(ctx, o.Job, b, &requests)
}

// connect makes the backend of a job, and logs in where that is needed.
func connect(ctx context.Context, o order, requests *counter) (sluice.Backend, error) {
	switch o.Job.To {
	case toDrop:
		return drop{}, nil
	case toMemory:
		return memorybackend.New(nil), nil
	case toB2:
		t := exchange.NewTransport()
		t.TLSClientConfig = o.Server.TLSConfig()
		requests.next = t
		return b2backend.New(ctx, b2backend.Credentials{KeyID: o.Server.KeyID, Key: o.Server.Key}, o.Server.Bucket,
			&b2backend.Options{Endpoint: o.Server.URL, Transport: requests})
	default:
		return nil, fmt.Errorf("no backend %q", o.Job.To)
	}
}

// carry streams, and measures from New to the end of Close.
func carry(ctx context.Context, j job, b sluice.Backend, requests *counter) (sample, error) {
	var half halfway
	source := lab.NewSource(j.Size, j.Rate, half.mark)
	began, cpu := time.Now(), lab.CPU()
	w, err := sluice.New(ctx, b, "bench", &sluice.Options{
		PartSize: j.PartSize, Concurrency: j.Concurrency, MemoryLimit: j.Memory,
	})
	if err != nil {
		return sample{}, err
	}
	defer w.Abort(nil)
	half.writer = w
	var last func() time.Time
	switch j.From {
	case fromReader:
		last = source.Last
		_, err = w.ReadFrom(source)
	case fromWrites:
		last = source.Last
		err = source.Pieces(pieceSize, w.Write)
	case fromPipe:
		pipe := &watched{Reader: os.Stdin, left: j.Size / 2, half: half.mark}
		last = func() time.Time { return pipe.last }
		_, err = w.ReadFrom(pipe)
	default:
		err = fmt.Errorf("no source %q", j.From)
	}
	if err != nil {
		return sample{}, err
	}
	if err := w.Close(); err != nil {
		return sample{}, err
	}
	ended := time.Now()
	s := sample{
		Bytes:    w.File().Size,
		Wall:     ended.Sub(began).Seconds(),
		CPU:      lab.CPU() - cpu,
		RSS:      lab.PeakRSS(),
		Parts:    max(1, w.File().Parts),
		Uploads:  w.Settings().Concurrency,
		Allocs:   half.allocs(),
		Tail:     ended.Sub(last()).Seconds(),
		Requests: int(requests.n.Load()),
	}
	if s.Bytes != j.Size {
		return s, fmt.Errorf("%d bytes of %d arrived", s.Bytes, j.Size)
	}
	return s, nil
}

// halfway counts allocations of the whole process from the middle of a stream, when everything is warm.
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

// counter counts requests.
type counter struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// playSource is the role of the process behind a pipe: it writes size bytes to stdout as fast as they are read.
func playSource(_ context.Context, spec json.RawMessage) (any, error) {
	var size int64
	if err := json.Unmarshal(spec, &size); err != nil {
		return nil, err
	}
	err := lab.NewSource(size, 0, nil).Pieces(1<<20, os.Stdout.Write)
	if errors.Is(err, io.ErrClosedPipe) {
		return nil, errors.New("the client hung up")
	}
	return nil, err
}
