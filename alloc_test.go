package sluice_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// sink is a store that reads every part and answers without allocating, so that
// what is counted is the writer's.
type sink struct{ sluice.Unsupported }

func (sink) Limits() sluice.Limits {
	return sluice.Limits{MaxParts: 1 << 30, PartDigests: []sluice.Algorithm{memorybackend.SHA256()}}
}

func (s sink) StartLargeFile(ctx context.Context, _ sluice.FileSpec) (sluice.LargeFile, error) {
	return s, nil
}
func (sink) Info() sluice.LargeFileInfo   { return sluice.LargeFileInfo{ID: "x"} }
func (sink) Cancel(context.Context) error { return nil }

func (sink) UploadPart(_ context.Context, p *sluice.Part) (sluice.Receipt, error) {
	body := p.Attempt()
	_, err := body.WriteTo(io.Discard)
	_ = body.Close()
	return sluice.Receipt{Size: p.Size}, err
}

func (sink) Finish(context.Context, []sluice.Receipt, sluice.Digests) (sluice.File, error) {
	return sluice.File{}, nil
}

func warmWriter(t testing.TB) *sluice.LargeFileWriter {
	if testutil.Race {
		t.Skip("the race detector allocates; run without -race to count allocations")
	}
	w, err := sluice.New(t.Context(), sink{}, "f", &sluice.Options{
		MemoryLimit: 16 << 20, PageSize: 64 << 10, PartSize: 256 << 10, MaxSize: 1 << 40, Concurrency: 4,
		Digests: []sluice.Algorithm{memorybackend.SHA256()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { w.Abort(nil) })
	data := make([]byte, 64<<20)
	_, err = w.Write(data)
	require.NoError(t, err)
	return w
}

func TestAWarmWriteAllocatesNothing(t *testing.T) {
	w := warmWriter(t)
	data := make([]byte, 32<<10)
	require.Zero(t, testing.AllocsPerRun(2000, func() { _, _ = w.Write(data) }))
}

// A part is four pages here, so each run hands over a part: all the way to the
// store's answer nothing is allocated for it but shared pieces of memory, one
// for tens of parts.
func TestAWarmPartAllocatesNothing(t *testing.T) {
	w := warmWriter(t)
	data := make([]byte, 256<<10)
	require.Zero(t, testing.AllocsPerRun(500, func() { _, _ = w.Write(data) }))
}

func TestAWarmReadFromAllocatesNothing(t *testing.T) {
	w := warmWriter(t)
	source := &io.LimitedReader{R: endless{}}
	require.Zero(t, testing.AllocsPerRun(500, func() {
		source.N = 256 << 10
		_, _ = w.ReadFrom(source)
	}))
}

func TestManyWritersShareOnePoolAndAllFinish(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			pool, err := sluice.NewPool(int64(4+rng.IntN(60))*page, page)
			require.NoError(t, err)
			var writers sync.WaitGroup
			for i := range 64 {
				rng := rand.New(rand.NewPCG(seed, uint64(i+1)))
				l := smallLimits()
				b := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: time.Duration(rng.IntN(300)) * time.Millisecond})
				writers.Go(func() {
					data := testutil.Content(rng.IntN(3000))
					o := &sluice.Options{Pool: pool, Concurrency: 1 + rng.IntN(8)}
					_, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
						for rest := data; len(rest) > 0; {
							time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
							n := 1 + rng.IntN(min(len(rest), 200))
							if _, err := w.Write(rest[:n]); err != nil {
								return err
							}
							rest = rest[n:]
							if pool.InUse() > pool.Limit() {
								t.Errorf("seed %d: %d bytes of %d in use", seed, pool.InUse(), pool.Limit())
							}
						}
						return nil
					})
					if err != nil {
						t.Errorf("seed %d, writer %d: %v", seed, i, err)
						return
					}
					if string(readBack(t, b, "f")) != string(data) {
						t.Errorf("seed %d, writer %d: content differs", seed, i)
					}
				})
			}
			writers.Wait()
			require.Zero(t, pool.InUse())
		})
	}
}
