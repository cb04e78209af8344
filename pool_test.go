package sluice

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newTestPool(t testing.TB, pages int) *Pool {
	p, err := NewPool(int64(pages)*16, 16)
	require.NoError(t, err)
	return p
}

func (p *Pool) testAccount() *account {
	return p.account(func(bool) {}, func() (int64, bool) { return 0, true })
}

// checkPool fails if more pages are granted than there are.
func checkPool(t testing.TB, p *Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first < 0 || p.first > p.firstMax || p.claimed < 0 || p.first+p.claimed > p.pages {
		t.Errorf("pool out of bounds: first %d of %d, claimed %d, pages %d", p.first, p.firstMax, p.claimed, p.pages)
	}
	if len(p.free) > p.pages {
		t.Errorf("%d free pages, there are %d", len(p.free), p.pages)
	}
}

// checkHome fails unless every page is given back and nothing waits.
func checkHome(t testing.TB, p *Pool) {
	require.Zero(t, p.InUse())
	require.Zero(t, p.sharers)
	require.Empty(t, p.starts)
	require.Empty(t, p.claims)
}

func TestPoolRefusesFewerThanTwoPages(t *testing.T) {
	_, err := NewPool(3<<20, 2<<20)
	require.EqualError(t, err, "sluice: memory limit 3 MiB holds fewer than two pages of 2 MiB")
	_, err = NewPool(-1, 0)
	require.Error(t, err)
	_, err = NewPool(1<<20, -1)
	require.EqualError(t, err, "sluice: page size -1 is negative")
}

func TestPoolIsLazyAndHasDefaults(t *testing.T) {
	p, err := NewPool(0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 128<<20, p.Limit())
	require.Equal(t, 1<<20, p.pageSize)
	require.EqualValues(t, 64<<20, p.MaxPart())
	require.Zero(t, p.InUse())
	require.Empty(t, p.free)
}

func TestFirstPagesTakeAtMostHalfThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, 5)
		var held []*account
		for range 2 {
			a := p.testAccount()
			_, err := a.firstPage(t.Context())
			require.NoError(t, err)
			held = append(held, a)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait() // the third one waits
			cancel(errors.New("enough"))
		}()
		_, err := p.testAccount().firstPage(ctx)
		require.EqualError(t, err, "enough")
		for _, a := range held {
			a.release([]page{{mem: make([]byte, 16)}}, 0)
		}
		checkHome(t, p)
	})
}

func TestACancelledWaitLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, 4)
		a, b := p.testAccount(), p.testAccount()
		for _, x := range []*account{a, b} {
			_, err := x.firstPage(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, a.claim(t.Context(), 2))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		require.ErrorIs(t, b.claim(ctx, 3), context.Canceled, "2 claimed and 3 wanted are more than 4")
		a.release([]page{{mem: make([]byte, 16)}}, 2)
		b.release([]page{{mem: make([]byte, 16)}}, 0)
		checkHome(t, p)
	})
}

func TestClaimsAreGrantedToWhoeverWasServedLongestAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, 11)
		page := []page{{mem: make([]byte, 16)}}
		accounts := map[string]*account{"early": p.testAccount(), "late": p.testAccount()}
		var served []string
		var waiting sync.WaitGroup
		claim := func(name string) {
			a := accounts[name]
			_, err := a.firstPage(t.Context())
			require.NoError(t, err)
			waiting.Go(func() {
				require.NoError(t, a.claim(t.Context(), 6))
				served = append(served, name)
			})
			synctest.Wait()
		}
		claim("late")
		accounts["late"].release(page, 6)
		claim("early")
		claim("early") // over its share, while it holds the first
		other := p.testAccount()
		_, err := other.firstPage(t.Context())
		require.NoError(t, err)
		require.NoError(t, other.claim(t.Context(), 3))
		claim("late")
		require.Equal(t, []string{"late", "early"}, served)
		accounts["early"].release(page, 6)
		synctest.Wait()
		require.Equal(t, []string{"late", "early", "late"}, served, "though it asked later")
		accounts["late"].release(page, 6)
		waiting.Wait()
		accounts["early"].release(page, 6)
		other.release(page, 3)
		require.Zero(t, p.InUse())
	})
}

// stream is what a writer does to its pool: first page, claim, upload elsewhere, again and again.
func runStream(ctx context.Context, t testing.TB, p *Pool, rng *rand.Rand, parts int, fill, upload func() time.Duration) error {
	a := p.testAccount()
	var uploads sync.WaitGroup
	defer uploads.Wait()
	most := p.pages - p.firstMax
	for range parts {
		first, err := a.firstPage(ctx)
		if err != nil {
			return err
		}
		n := 1 + rng.IntN(most)
		time.Sleep(fill())
		if err := a.claim(ctx, n); err != nil {
			a.release([]page{{mem: first}}, 0)
			return err
		}
		pages := []page{{mem: first}}
		for len(pages) < n {
			pages = append(pages, page{mem: a.pool.memory()})
		}
		time.Sleep(fill())
		checkPool(t, p)
		wait := upload()
		uploads.Go(func() {
			time.Sleep(wait)
			a.release(pages, n)
		})
	}
	return nil
}

func TestManyWritersOnOnePoolAllFinish(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			p := newTestPool(t, 2+rng.IntN(40))
			var writers sync.WaitGroup
			for i := range 64 {
				rng := rand.New(rand.NewPCG(seed, uint64(i+2)))
				ms := func(n int) func() time.Duration {
					return func() time.Duration { return time.Duration(rng.IntN(n)) * time.Millisecond }
				}
				fill, upload := ms(1+rng.IntN(20)), ms(1+rng.IntN(200))
				writers.Go(func() {
					if err := runStream(t.Context(), t, p, rng, 1+rng.IntN(20), fill, upload); err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
				})
			}
			writers.Wait() // a deadlock fails the bubble
			checkHome(t, p)
		})
	}
}

func TestWritersThatEndMidWayGiveEverythingBack(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			p := newTestPool(t, 2+rng.IntN(20))
			var writers sync.WaitGroup
			for i := range 32 {
				rng := rand.New(rand.NewPCG(seed, uint64(i+2)))
				ms := func() time.Duration { return time.Duration(rng.IntN(50)) * time.Millisecond }
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(3000))*time.Millisecond)
				writers.Go(func() {
					defer cancel()
					_ = runStream(ctx, t, p, rng, 20, ms, ms)
				})
			}
			writers.Wait()
			checkHome(t, p)
		})
	}
}

func TestASourceThatHangsOnItsFirstPageStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, 8)
		hung := p.testAccount()
		held, err := hung.firstPage(t.Context())
		require.NoError(t, err)
		var writers sync.WaitGroup
		for i := range 8 {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			ms := func() time.Duration { return time.Duration(rng.IntN(5)) * time.Millisecond }
			writers.Go(func() {
				if err := runStream(t.Context(), t, p, rng, 10, ms, ms); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		hung.release([]page{{mem: held}}, 0)
		checkHome(t, p)
	})
}

func TestASlowStoreLeavesTheOthersTheirShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, 32)
		var writers sync.WaitGroup
		var took [2]time.Duration
		start := time.Now()
		for i := range 2 {
			// one store is a thousand times slower
			upload := time.Duration(1+999*i) * time.Millisecond
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			writers.Go(func() {
				err := runStream(t.Context(), t, p, rng, 100, func() time.Duration { return 0 }, func() time.Duration { return upload })
				require.NoError(t, err)
				took[i] = time.Since(start)
			})
		}
		writers.Wait()
		require.Less(t, took[0], took[1]/20, "the fast one hardly notices")
		checkHome(t, p)
	})
}

func TestAWarmPoolAllocatesNothing(t *testing.T) {
	p := newTestPool(t, 8)
	a := p.testAccount()
	pages := make([]page, 0, 4)
	cycle := func() {
		first, _ := a.firstPage(t.Context())
		_ = a.claim(t.Context(), 4)
		pages = append(pages[:0], page{mem: first})
		for len(pages) < 4 {
			pages = append(pages, page{mem: a.pool.memory()})
		}
		a.release(pages, 4)
	}
	cycle()
	require.Zero(t, testing.AllocsPerRun(100, cycle))
}

func TestSplittingLosesNoPage(t *testing.T) {
	pool, err := NewPool(64*16, 16)
	require.NoError(t, err)
	h := &hold{wait: make(chan struct{})}
	close(h.wait)
	w, err := New(t.Context(), h, "f", &Options{Pool: pool, PartSize: 8 * 16, Concurrency: 4})
	require.NoError(t, err)
	_, err = w.ReadFrom(bytes.NewReader(make([]byte, 8*16+4*16)))
	require.NoError(t, err)
	require.Len(t, w.part.pages, 5, "ReadFrom had one more ready")
	mem := map[*byte]bool{}
	for _, p := range w.part.pages {
		mem[&p.mem[0]] = true
	}
	require.NoError(t, w.Close())
	for _, f := range pool.free {
		delete(mem, &f[0])
	}
	require.Empty(t, mem)
	require.Zero(t, pool.InUse())
}

// trickle is a source whose bytes come a page at a time.
type trickle struct {
	Source
	page int
}

func (s trickle) ReadRange(_ context.Context, _ StoredFile, r *Range) error {
	for r.Missing() > 0 {
		time.Sleep(time.Millisecond)
		if _, err := r.Write(make([]byte, min(r.Missing(), int64(s.page)))); err != nil {
			return err
		}
	}
	return nil
}

// A range has the memory of the bytes that came and were not read, not that of
// all its pages, and takes the page that was given back last.
func TestPool_AReaderUsesFewPagesAgainAndAgain(t *testing.T) {
	for _, concurrency := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			const page = 16
			p, err := NewPool(64*page, page)
			require.NoError(t, err)
			file := StoredFile{File: File{Name: "f", ID: "f", Size: 1000 * page}}
			o := &ReadOptions{Pool: p, Version: &file, Concurrency: concurrency, RangeSize: 4 * page}
			_, err = Download(t.Context(), trickle{page: page}, "f", io.Discard, o)
			require.NoError(t, err)
			require.LessOrEqual(t, len(p.free), 1+(concurrency-1)*4+1)
			require.Zero(t, p.InUse())
		})
	}
}

// Ranges that are on their way to the caller are twice as many as are fetched at
// once at most, however much memory there is.
func TestPool_AReaderTakesNoMoreThanItsConcurrencyNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const page = 16
		p, err := NewPool(1024*page, page)
		require.NoError(t, err)
		file := StoredFile{File: File{Name: "f", ID: "f", Size: 1000 * page}}
		r, err := NewReader(t.Context(), trickle{page: page}, "f", &ReadOptions{Pool: p, Version: &file, Concurrency: 3, RangeSize: page})
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(time.Second) // nothing is read
		require.EqualValues(t, 6*page, p.InUse())
		require.NoError(t, r.Close())
		require.Zero(t, p.InUse())
	})
}
