package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/memorybackend"
)

// stragglers is a store of which some upload attempts are far slower than the
// others, or move nothing until the watchdog gives them up and another attempt
// is made.
type stragglers struct {
	*memorybackend.Backend
	seed   uint64
	oneOf  int           // attempts is slow; 0: none
	stall  time.Duration // of such an attempt; 0: it is factor times as slow
	factor time.Duration

	mu       sync.Mutex
	attempts map[int]int // by part
}

// perPage is what a page of a part takes in an attempt that is not slow.
const perPage = time.Second

func (s *stragglers) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	f, err := s.Backend.StartLargeFile(ctx, spec)
	return &straggling{f, s}, err
}

type straggling struct {
	sluice.LargeFile
	store *stragglers
}

// next tells whether the next attempt at the part is slow, and what it takes
// beside the usual: part of a millisecond, so that no two attempts take equally
// long. Both follow from the seed, the part and the attempt. How goroutines run
// decides only which of several parts that are late at one moment is ended
// first.
func (s *stragglers) next(part int) (slow bool, extra time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts[part]++
	rng := rand.New(rand.NewPCG(s.seed<<32|uint64(s.oneOf), uint64(part)<<32|uint64(s.attempts[part])))
	return s.oneOf > 0 && oneIn(rng, s.oneOf), upTo(rng, time.Millisecond)
}

func (f *straggling) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	s := f.store
	slow, extra := s.next(p.Number)
	usual := perPage*time.Duration(p.Size)/page + extra
	switch {
	case slow && s.stall > 0:
		if err := pause(ctx, s.stall); err != nil {
			return sluice.Receipt{}, err
		}
		if err := p.Backoff(ctx, retry.ErrStalled, 0); err != nil {
			return sluice.Receipt{}, err
		}
	case slow:
		usual *= s.factor
	}
	if err := pause(ctx, usual); err != nil {
		return sluice.Receipt{}, err
	}
	return f.LargeFile.UploadPart(ctx, p)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tail is what came of a stream.
type tail struct {
	total, closing time.Duration // all of it, and what Close took
	restarts       int
}

// follow uploads a stream of so many parts to s, from a source that is faster than the store.
func follow(t *testing.T, s *stragglers, parts int) (f tail) {
	synctest.Test(t, func(t *testing.T) {
		const partPages, uploads = 16, 8
		l := sluice.Limits{MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20}
		s.attempts = make(map[int]int)
		s.Backend = memorybackend.New(&memorybackend.Options{Limits: &l})
		pool := newPool(t, (uploads+1)*partPages, false)
		data := contentOf(uint64(parts), parts*partPages*page)
		began := time.Now()
		w, err := sluice.New(t.Context(), s, "f", &sluice.Options{Pool: pool, PartSize: partPages * page, Concurrency: uploads, MaxSize: partPages * page * 10_000})
		require.NoError(t, err)
		defer w.Abort(nil)
		_, err = w.Write(data)
		require.NoError(t, err)
		last := time.Now()
		require.NoError(t, w.Close())
		f = tail{time.Since(began), time.Since(last), w.Stats().Restarts}
		require.Zero(t, pool.InUse())
		verify(t, stored(t, s.Backend, "f"), data)
	})
	return f
}

// TestStragglers_AreStartedAgain prints what ending a straggler and starting it
// again gains. The figures are those of docs/decisions/0003-stragglers.md.
func TestStragglers_AreStartedAgain(t *testing.T) {
	const streams = 20
	fmt.Printf("chaos: stragglers: parts of 16s, 8 uploads at once, %d streams each; seconds\n", streams)
	fmt.Println("chaos: stragglers: kind      one in  parts | none | total  alone  gain | Close  worst | restarts a stream")
	for _, kind := range []struct {
		name   string
		factor time.Duration
		stall  time.Duration
	}{{"10x slow", 10, 0}, {"40x slow", 40, 0}, {"stalled", 0, 2 * time.Minute}} {
		for _, oneOf := range []int{8, 20, 128, 640} {
			for _, parts := range []int{16, 64, 256} {
				if oneOf > 3*parts { // most streams have none
					continue
				}
				var total, closing, worst, alone time.Duration
				restarts := 0
				ideal := follow(t, &stragglers{}, parts)
				require.Zero(t, ideal.restarts, "without a straggler nothing is started again")
				for seed := range uint64(streams) {
					s := &stragglers{seed: seed, oneOf: oneOf, stall: kind.stall, factor: kind.factor}
					f := follow(t, s, parts)
					total += f.total / streams
					closing += f.closing / streams
					worst = max(worst, f.closing)
					restarts += f.restarts
					alone += s.alone(parts, 8) / streams
				}
				fmt.Printf("chaos: stragglers: %-9s %6d %6d | %4.0f | %5.0f %6.0f %4.0f%% | %5.0f %6.0f | %.2f\n", kind.name, oneOf, parts,
					ideal.total.Seconds(), total.Seconds(), alone.Seconds(), 100*(1-total.Seconds()/alone.Seconds()),
					closing.Seconds(), worst.Seconds(), float64(restarts)/streams)
				require.Positive(t, restarts)
				require.LessOrEqual(t, total, alone)
			}
		}
	}
}

// alone is how long the stream takes if no straggler is ended: the parts go to
// the uploads in order.
func (s *stragglers) alone(parts, uploads int) time.Duration {
	s.attempts = make(map[int]int)
	busy := make([]time.Duration, uploads)
	for part := range parts {
		slow, extra := s.next(part + 1)
		took := 16*perPage + extra
		switch {
		case slow && s.stall > 0:
			took += s.stall
		case slow:
			took = s.factor * 16 * perPage
		}
		i := slices.Index(busy, slices.Min(busy))
		busy[i] += took
	}
	return slices.Max(busy)
}
