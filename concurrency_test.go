package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// link is a store behind a simulated network: every call takes latency, every
// part takes its time on one of a number of lanes, and beyond most uploads at
// once an attempt is refused.
type link struct {
	*memorybackend.Backend
	latency, perPart time.Duration
	lanes            chan struct{}
	most             int
	wait             func(tries int) time.Duration // after a refusal; half a part's time if nil

	mu      sync.Mutex
	running int
	peak    int
	refused int
}

func newLink(latency, perPart time.Duration, lanes, most int) *link {
	l := smallLimits()
	l.PartDigests = nil
	return &link{
		Backend: memorybackend.New(&memorybackend.Options{Limits: &l, Discard: true}),
		latency: latency, perPart: perPart, lanes: make(chan struct{}, lanes), most: most,
	}
}

func (k *link) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	time.Sleep(k.latency)
	f, err := k.Backend.StartLargeFile(ctx, spec)
	return &linkFile{f, k}, err
}

type linkFile struct {
	sluice.LargeFile
	k *link
}

func (f *linkFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	k := f.k
	for tries := 1; ; tries++ {
		time.Sleep(k.latency / 2)
		k.mu.Lock()
		busy := k.most > 0 && k.running >= k.most
		if !busy {
			k.running++
			k.peak = max(k.peak, k.running)
		} else {
			k.refused++
		}
		k.mu.Unlock()
		if !busy {
			break
		}
		time.Sleep(k.latency / 2)
		wait := k.perPart / 2
		if k.wait != nil {
			wait = k.wait(tries)
		}
		_ = p.Backoff(ctx, fmt.Errorf("503: %w", sluice.ErrSlowDown), wait)
	}
	err := k.carry(ctx, p)
	k.mu.Lock()
	k.running--
	k.mu.Unlock()
	if err != nil {
		return sluice.Receipt{}, err
	}
	time.Sleep(k.latency / 2)
	return f.LargeFile.UploadPart(ctx, p)
}

// carry moves the bytes of p over a lane.
func (k *link) carry(ctx context.Context, p *sluice.Part) error {
	k.lanes <- struct{}{}
	defer func() { <-k.lanes }()
	body := p.Attempt()
	defer body.Close()
	const slices = 8
	for range slices {
		time.Sleep(time.Duration(int64(k.perPart) * p.Size / part / slices))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, _ = body.Read(make([]byte, part/slices))
	}
	return nil
}

// over streams parts over the link and returns how long that took.
func (k *link) over(t *testing.T, memory int64, concurrency, parts int) time.Duration {
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		k.lanes = make(chan struct{}, cap(k.lanes)) // of this bubble
		w, err := sluice.New(t.Context(), k, "f", &sluice.Options{
			MemoryLimit: memory, PageSize: page, PartSize: part, Concurrency: concurrency, MaxSize: int64(parts) * part,
		})
		require.NoError(t, err)
		start := time.Now()
		_, err = io.Copy(w, io.LimitReader(endless{}, int64(parts)*part))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		took = time.Since(start)
	})
	return took
}

// A part is 8 MiB, in 256 MiB of memory: 31 uploads. Links from 5 to 100 MB/s a
// connection, 10 to 200 ms away, that carry 1 to 24 connections.
func TestUploadsFollowTheLineByThemselves(t *testing.T) {
	const memory = 32 * part
	parts := 2000
	if testutil.Race {
		parts = 300 // the same story, told faster
	}
	for _, latency := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
		for _, mbs := range []int{5, 25, 100} {
			for _, lanes := range []int{1, 4, 24} {
				t.Run(fmt.Sprintf("%v, %d MB/s, %d lanes", latency, mbs, lanes), func(t *testing.T) {
					perPart := time.Duration(8<<20) * time.Second / time.Duration(mbs*1e6)
					best := time.Duration(1 << 62)
					for _, n := range []int{1, 2, 4, 8, 16, 24, 31} {
						best = min(best, newLink(latency, perPart, lanes, 0).over(t, memory, n, parts))
					}
					own := newLink(latency, perPart, lanes, 0).over(t, memory, 0, parts)
					// A stream starts with one upload, and learns of each part's slices.
					require.LessOrEqual(t, own, best*100/95+3*time.Second, "best fixed %v", best)
				})
			}
		}
	}
}

func TestUploadsBecomeFewerWhenTheStoreAsks(t *testing.T) {
	k := newLink(10*time.Millisecond, 100*time.Millisecond, 100, 6)
	own := k.over(t, 32*part, 0, 2000)
	require.LessOrEqual(t, k.peak, 6)
	require.Less(t, k.refused, 2000/4)
	fixed := newLink(10*time.Millisecond, 100*time.Millisecond, 100, 6)
	atSix := fixed.over(t, 32*part, 6, 2000)
	t.Logf("by itself %v, fixed at the store's limit %v, refused %d of 2000", own, atSix, k.refused)
	require.GreaterOrEqual(t, float64(atSix)/float64(own), 0.95)
}

// Parts of a fifth of a second wait for one or more at random, as backends have
// them, and another part takes their place.
func TestWaitingAfterARefusalLeavesTheLineFull(t *testing.T) {
	const perPart = 200 * time.Millisecond
	atSix := newLink(10*time.Millisecond, perPart, 100, 6).over(t, 32*part, 6, 2000)
	for seed := range uint64(5) {
		k := newLink(10*time.Millisecond, perPart, 100, 6)
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 0))
		k.wait = func(tries int) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(random.Float64() * float64(time.Second<<(tries-1)))
		}
		own := k.over(t, 32*part, 0, 2000)
		t.Logf("by itself %v, fixed at the store's limit %v, refused %d of 2000", own, atSix, k.refused)
		require.GreaterOrEqual(t, float64(atSix)/float64(own), 0.98)
		require.Less(t, k.refused, 2000/10)
	}
}

func TestAFixedConcurrencyStaysWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			_ = p.Backoff(ctx, sluice.ErrSlowDown, 0)
			return real()
		}
		w, _ := open(t, t.Context(), b, func(o *sluice.Options) { o.Concurrency = 3 })
		mustWrite(t, w, 20*part)
		require.Equal(t, 3, w.Stats().Concurrency)
		require.NoError(t, w.Close())
	})
}

func TestConcurrency_HalvesOnceForWhatWasUnderWayAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		release := make(chan struct{})
		var rejects atomic.Bool
		b.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			time.Sleep(time.Second) // all of them are under way
			if rejects.Load() {
				_ = p.Backoff(ctx, errors.Join(errors.New("429"), sluice.ErrSlowDown), 0)
				select {
				case <-release:
				case <-ctx.Done():
					return sluice.Receipt{}, ctx.Err()
				}
			}
			return real()
		}
		w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: 18 * part, PageSize: page, PartSize: part})
		require.NoError(t, err)
		defer w.Abort(nil)
		require.Equal(t, 18, w.Settings().Concurrency)
		require.Equal(t, 1, w.Stats().Concurrency)
		mustWrite(t, w, 200*part)
		before := w.Stats().Concurrency
		require.GreaterOrEqual(t, before, 12, "parts take a second")
		rejects.Store(true) // for all parts under way the reason is the same
		time.Sleep(3 * time.Second)
		require.Equal(t, before/2, w.Stats().Concurrency)
		rejects.Store(false)
		close(release)
		mustWrite(t, w, 200*part)
		time.Sleep(time.Minute)
		require.GreaterOrEqual(t, w.Stats().Concurrency, 12, "one more after each quiet stretch")
		require.NoError(t, w.Close())
	})
}
