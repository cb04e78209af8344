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
	"github.com/c1508ce4/sluice/memorybackend"
)

// stragglers is a store of which one upload attempt in so many is ten times as slow as the others, or moves nothing until
// the watchdog gives it up and another attempt is made. With a hedge, a part whose attempt has taken twice the
// usual time is sent a second time once the source has ended, on an upload that is idle, and the first to be done counts.
type stragglers struct {
	*memorybackend.Backend
	usual    time.Duration // per page
	slow     map[int]bool  // by the number of the attempt
	stall    time.Duration // of such an attempt; 0: it is ten times as slow
	hedge    bool
	capacity int

	mu       sync.Mutex
	ended    bool // the source has: what is left is the tail
	attempts int
	running  int
}

func (s *stragglers) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	f, err := s.Backend.StartLargeFile(ctx, spec)
	return &straggling{f, s}, err
}

type straggling struct {
	sluice.LargeFile
	store *stragglers
}

// attempt takes the time of one, and is false if ctx ended first.
func (s *stragglers) attempt(ctx context.Context, size int64) bool {
	s.mu.Lock()
	s.attempts++
	slow := s.slow[s.attempts]
	s.running++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	d := s.usual * time.Duration(size) / page
	if slow && s.stall > 0 {
		d += s.stall
	} else if slow {
		d *= 10
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// spare reports whether an upload is idle that no part is left for.
func (s *stragglers) spare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || s.running >= s.capacity {
		return false
	}
	return true
}

func (f *straggling) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	s := f.store
	race, won := context.WithCancel(ctx)
	defer won()
	var attempts sync.WaitGroup
	defer attempts.Wait() // both are joined before the pages go back
	first := make(chan struct{}, 2)
	try := func() {
		if s.attempt(race, p.Size) {
			first <- struct{}{}
		}
	}
	attempts.Go(try)
	var late <-chan time.Time
	if s.hedge {
		late = time.After(2 * s.usual * time.Duration(p.Size) / page)
	}
	for {
		select {
		case <-first:
			won()
			return f.LargeFile.UploadPart(ctx, p)
		case <-late:
			if late = nil; s.spare() {
				attempts.Go(try)
			} else {
				late = time.After(s.usual / 4)
			}
		case <-ctx.Done():
			return sluice.Receipt{}, ctx.Err()
		}
	}
}

// tail uploads a stream of so many parts from a source that is faster than the store. It returns how long that took, and how
// long Close took of it.
func tail(t *testing.T, s *stragglers, parts int) (total, closing time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		const partPages, uploads = 16, 8
		l := sluice.Limits{MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, PartDigests: nil}
		s.Backend = memorybackend.New(&memorybackend.Options{Limits: &l})
		s.usual, s.capacity = time.Second, uploads
		pool := newPool(t, (uploads+1)*partPages, false)
		began := time.Now()
		w, err := sluice.New(t.Context(), s, "f", &sluice.Options{Pool: pool, PartSize: partPages * page, Concurrency: uploads, MaxSize: partPages * page * 10_000})
		require.NoError(t, err)
		defer w.Abort(nil)
		_, err = w.Write(make([]byte, parts*partPages*page))
		require.NoError(t, err)
		last := time.Now()
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
		require.NoError(t, w.Close())
		total, closing = time.Since(began), time.Since(last)
	})
	return total, closing
}

// TestStragglers prints what a second attempt for a straggler in the tail would gain beyond tail splitting and the stall
// watchdog. The figures are those of docs/decisions/0003-hedging.md.
func TestStragglers(t *testing.T) {
	const streams = 20
	fmt.Printf("chaos: hedging: parts of 16s, 8 uploads at once, %d streams each; seconds\n", streams)
	fmt.Println("chaos: hedging: straggler  one in  parts |  none | alone hedged  gain | Close alone hedged | worst Close alone hedged")
	for _, stall := range []time.Duration{0, 2 * time.Minute} {
		kind := map[bool]string{false: "10x slow", true: "stalled"}[stall > 0]
		for _, oneOf := range []int{8, 32, 128} {
			for _, parts := range []int{16, 64, 256} {
				var total, closing, worst [2]time.Duration
				ideal, _ := tail(t, &stragglers{}, parts)
				for seed := range uint64(streams) {
					rng := rand.New(rand.NewPCG(seed, uint64(oneOf)))
					slow := map[int]bool{}
					for n := range 4 * parts {
						slow[n+1] = oneIn(rng, oneOf)
					}
					for i, hedge := range []bool{false, true} {
						all, last := tail(t, &stragglers{slow: slow, stall: stall, hedge: hedge}, parts)
						total[i] += all / streams
						closing[i] += last / streams
						worst[i] = max(worst[i], last)
					}
				}
				fmt.Printf("chaos: hedging: %-9s %7d %6d | %5.0f | %5.0f %6.0f %4.0f%% | %11.0f %6.0f | %17.0f %6.0f\n", kind, oneOf, parts,
					ideal.Seconds(), total[0].Seconds(), total[1].Seconds(), 100*(1-total[1].Seconds()/total[0].Seconds()),
					closing[0].Seconds(), closing[1].Seconds(), worst[0].Seconds(), worst[1].Seconds())
				require.LessOrEqual(t, total[1], total[0], "a second attempt does no harm")
			}
		}
	}
}
