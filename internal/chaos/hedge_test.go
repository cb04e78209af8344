package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/memorybackend"
)

// stragglers is a store of which some upload attempts are ten times as slow as the others, or move nothing until the
// watchdog gives them up and another attempt is made.
type stragglers struct {
	*memorybackend.Backend
	seed  uint64
	oneOf int           // attempts is slow; 0: none
	stall time.Duration // of such an attempt; 0: it is ten times as slow

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

// next tells whether the next attempt at the part is slow, and what it takes beside the usual: part of a millisecond, so
// that no two attempts take equally long. Both follow from the seed, the part and the attempt. How goroutines run decides
// only which of several parts that are late at one moment is hedged first.
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
		usual *= 10
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
	hedges         int
}

// follow uploads a stream of so many parts to s, from a source that is faster than the store. Whether the writer may
// hedge is the store's to say.
func follow(t *testing.T, s *stragglers, parts int, repeatable bool) (f tail) {
	synctest.Test(t, func(t *testing.T) {
		const partPages, uploads = 16, 8
		l := sluice.Limits{MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Repeatable: repeatable}
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
		f = tail{time.Since(began), time.Since(last), w.Stats().Hedges}
		require.Zero(t, pool.InUse())
		verify(t, stored(t, s.Backend, "f"), data)
	})
	return f
}

// TestStragglers prints what a second attempt for a straggler in the tail gains beyond tail splitting and the stall
// watchdog. The figures are those of docs/decisions/0003-hedging.md.
func TestStragglers(t *testing.T) {
	const streams = 20
	fmt.Printf("chaos: hedging: parts of 16s, 8 uploads at once, %d streams each; seconds\n", streams)
	fmt.Println("chaos: hedging: straggler  one in  parts |  none | alone hedged  gain | Close alone hedged | worst Close alone hedged | hedges a stream")
	for _, stall := range []time.Duration{0, 2 * time.Minute} {
		kind := map[bool]string{false: "10x slow", true: "stalled"}[stall > 0]
		for _, oneOf := range []int{8, 32, 128} {
			for _, parts := range []int{16, 64, 256} {
				var total, closing, worst [2]time.Duration
				var hedges [2]int
				ideal := follow(t, &stragglers{}, parts, true)
				require.Zero(t, ideal.hedges, "without a straggler there is nothing to hedge")
				for seed := range uint64(streams) {
					for i, repeatable := range []bool{false, true} {
						f := follow(t, &stragglers{seed: seed, oneOf: oneOf, stall: stall}, parts, repeatable)
						total[i] += f.total / streams
						closing[i] += f.closing / streams
						worst[i] = max(worst[i], f.closing)
						hedges[i] += f.hedges
					}
				}
				fmt.Printf("chaos: hedging: %-9s %7d %6d | %5.0f | %5.0f %6.0f %4.0f%% | %11.0f %6.0f | %17.0f %6.0f | %15.2f\n", kind, oneOf, parts,
					ideal.total.Seconds(), total[0].Seconds(), total[1].Seconds(), 100*(1-total[1].Seconds()/total[0].Seconds()),
					closing[0].Seconds(), closing[1].Seconds(), worst[0].Seconds(), worst[1].Seconds(), float64(hedges[1])/streams)
				require.Zero(t, hedges[0])
				require.Positive(t, hedges[1])
				require.LessOrEqual(t, total[1], total[0], "a second attempt does no harm")
			}
		}
	}
}
