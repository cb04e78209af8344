package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// usual is what a call for a full part takes in these tests. Three run at once, so that of a stream of six parts the last
// three begin at usual, and end at twice that.
const usual = 10 * time.Second

// call is the nth call of UploadPart for a part, from 1.
type call struct{ part, nth int }

// uneven is a store that allows repeats, of which some calls take longer than usual, or fail at their end.
type uneven struct {
	*stub
	takes map[call]time.Duration
	fails map[call]error
	// lasts is how long a call goes on after it was cut off. It is stored then all the same.
	lasts map[call]time.Duration

	mu      sync.Mutex
	made    map[int]int // calls by part
	cut     []call      // ended by their context
	running int
	peak    int
}

func newUneven(limits sluice.Limits, takes map[call]time.Duration) *uneven {
	s := &uneven{stub: &stub{Backend: store(limits)}, takes: takes, made: map[int]int{}}
	s.uploadPart = s.upload
	return s
}

func (s *uneven) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	large, err := s.Backend.ResumeLargeFile(ctx, spec, id)
	if err != nil {
		return nil, err
	}
	return &stubFile{large, s.stub}, nil
}

func repeatable() sluice.Limits {
	l := smallLimits()
	l.Repeatable = true
	return l
}

func (s *uneven) upload(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
	s.mu.Lock()
	s.made[p.Number]++
	c := call{p.Number, s.made[p.Number]}
	s.running++
	s.peak = max(s.peak, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
	}()
	d, slow := s.takes[c]
	if !slow {
		d = usual * time.Duration(p.Size) / part
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		s.mu.Lock()
		s.cut = append(s.cut, c)
		s.mu.Unlock()
		last, stored := s.lasts[c]
		if !stored {
			return sluice.Receipt{}, context.Cause(ctx)
		}
		time.Sleep(last)
		large, err := s.Backend.ResumeLargeFile(context.Background(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize}, "")
		if err != nil {
			return sluice.Receipt{}, err
		}
		return large.UploadPart(context.Background(), p)
	}
	if err := s.fails[c]; err != nil {
		return sluice.Receipt{}, err
	}
	return real()
}

// hedged are the parts that were sent more than once.
func (s *uneven) hedged() []int {
	maps.DeleteFunc(s.made, func(_, n int) bool { return n == 1 })
	return slices.Sorted(maps.Keys(s.made))
}

// story is what came of a stream to an uneven store.
type story struct {
	took   time.Duration
	err    error
	stats  sluice.Stats
	hedges []sluice.PartEvent
	done   map[int][]error // what PartDone said, by part
}

// tell streams n parts to s, each full, and checks what holds of every stream.
func (s *uneven) tell(t *testing.T, n int, change func(*sluice.Options)) story {
	var mu sync.Mutex
	told := story{done: map[int][]error{}}
	hooks := &sluice.Hooks{
		PartHedged: func(p sluice.PartEvent) {
			mu.Lock()
			defer mu.Unlock()
			told.hedges = append(told.hedges, p)
		},
		PartDone: func(p sluice.PartEvent, err error) {
			mu.Lock()
			defer mu.Unlock()
			told.done[p.Number] = append(told.done[p.Number], err)
		},
	}
	began := time.Now()
	w, pool := open(t, t.Context(), s, func(o *sluice.Options) {
		o.Hooks = hooks
		if change != nil {
			change(o)
		}
	})
	mustWrite(t, w, n*part)
	told.err = w.Close()
	told.took, told.stats = time.Since(began), w.Stats()
	require.Zero(t, pool.InUse())
	require.Zero(t, told.stats.PartsInFlight)
	requireOrdered(t, told.stats)
	require.Len(t, told.hedges, told.stats.Hedges)
	require.LessOrEqual(t, s.peak, 3)
	for part, errs := range told.done {
		require.Len(t, errs, 1, "part %d is done once", part)
	}
	if told.err == nil {
		require.Equal(t, content(n*part), readBack(t, s.Backend, "f"))
		require.Equal(t, []string{"f"}, s.Names())
		require.Empty(t, s.Leftovers(""))
		require.Len(t, told.done, told.stats.PartsDone)
		require.EqualValues(t, n*part, told.stats.Acknowledged)
	} else {
		requireNothingLeft(t, s.Backend)
	}
	return told
}

func TestAStragglerIsSentAgainAndTheFasterCallCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: time.Hour})
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 4*usual, told.took, "begun at one, sent again at three, done at four")
		require.Equal(t, []call{{5, 1}}, s.cut)
		require.Equal(t, []sluice.PartEvent{{Number: 5, Offset: 4 * part, Size: part}}, told.hedges)
		require.Zero(t, told.stats.Retries, "a hedge is no retry")
	})
}

func TestAStragglerThatIsDoneBeforeItsHedgeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 5 * usual / 2})
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 7*usual/2, told.took)
		require.Equal(t, []call{{5, 2}}, s.cut)
		require.Equal(t, 1, told.stats.Hedges)
	})
}

func TestAHedgeThatFailsIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 8 * usual})
		s.fails = map[call]error{{5, 2}: errors.New("503 busy")}
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 9*usual, told.took)
		require.Equal(t, 1, told.stats.Hedges, "a part is hedged once")
		require.Empty(t, s.cut)
	})
}

func TestAStragglerThatFailsIsSavedByItsHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 5 * usual / 2})
		s.fails = map[call]error{{5, 1}: errors.New("connection reset")}
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 4*usual, told.took)
		require.Equal(t, []error{nil}, told.done[5])
	})
}

func TestIfBothCallsFailTheFirstSaysWhy(t *testing.T) {
	for _, second := range []time.Duration{usual / 10, usual} { // before and after the first
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("connection reset")
			s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 5 * usual / 2, {5, 2}: second})
			s.fails = map[call]error{{5, 1}: cause, {5, 2}: errors.New("503 busy")}
			told := s.tell(t, 6, nil)
			require.ErrorIs(t, told.err, cause)
			require.EqualError(t, told.err, `sluice: upload part 5 of "f": connection reset`)
			require.Equal(t, []error{cause}, told.done[5])
		})
	}
}

func TestAbortEndsBothCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: time.Hour, {5, 2}: time.Hour})
		w, pool := open(t, t.Context(), s, nil)
		mustWrite(t, w, 6*part)
		aborting := time.AfterFunc(4*usual, func() { w.Abort(nil) }) // from usual on
		defer aborting.Stop()
		require.ErrorIs(t, w.Close(), sluice.ErrAborted)
		require.ElementsMatch(t, []call{{5, 1}, {5, 2}}, s.cut)
		require.Zero(t, pool.InUse())
		requireNothingLeft(t, s.Backend)
	})
}

func TestAnotherPartsFailureEndsBothCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("no room")
		s := newUneven(repeatable(), map[call]time.Duration{{2, 1}: time.Hour, {2, 2}: time.Hour})
		s.fails = map[call]error{{6, 1}: cause} // begun at two, as the hedge
		told := s.tell(t, 6, nil)
		require.ErrorIs(t, told.err, cause)
		require.Equal(t, 3*usual, told.took)
		require.ElementsMatch(t, []call{{2, 1}, {2, 2}}, s.cut)
	})
}

// The call that was cut off takes its time to return, and its bytes arrive all the same: the pages wait for it, and
// the receipt of the other call is good.
func TestPagesGoBackWhenBothCallsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: time.Hour})
		s.lasts = map[call]time.Duration{{5, 1}: 7 * usual}
		w, pool := open(t, t.Context(), s, nil)
		mustWrite(t, w, 6*part)
		inUse := make(chan int64, 1)
		time.AfterFunc(9*usual, func() { inUse <- pool.InUse() }) // from usual on
		require.NoError(t, w.Close())
		require.EqualValues(t, part, <-inUse)
		require.Zero(t, pool.InUse())
		require.Equal(t, 11*usual, w.Stats().Elapsed)
		require.Equal(t, content(6*part), readBack(t, s.Backend, "f"))
		require.EqualValues(t, part, w.Stats().Resent)
	})
}

func TestAPlannedPartIsHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := repeatable()
		l.PlansParts, l.MinParts, l.MaxSingle, l.Resumable = true, 1, 0, false
		s := newUneven(l, map[call]time.Duration{{6, 1}: time.Hour})
		s.stub.Backend = memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: part})
		told := s.tell(t, 6, func(o *sluice.Options) { o.Size, o.PartSize = 6*part, 0 })
		require.NoError(t, told.err)
		require.Equal(t, []int{6}, s.hedged())
	})
}

func TestAPartOfAResumedStreamIsHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), nil)
		w, _ := open(t, t.Context(), s, func(o *sluice.Options) { o.OnFailure = sluice.Keep })
		mustWrite(t, w, 4*part)
		time.Sleep(5 * usual)
		w.Abort(nil)
		clear(s.made)
		s.takes = map[call]time.Duration{{7, 1}: time.Hour}
		told := s.tell(t, 8, func(o *sluice.Options) { o.Resume = true })
		require.NoError(t, told.err)
		require.EqualValues(t, 3*part, told.stats.Reused)
		require.Equal(t, []int{7}, s.hedged())
	})
}

func TestAHedgeThatIsEndedFromOutsideLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 8 * usual})
		told := s.tell(t, 6, func(o *sluice.Options) {
			hedged := o.Hooks.PartHedged
			o.Hooks.PartHedged = func(p sluice.PartEvent) {
				hedged(p)
				runtime.Goexit()
			}
		})
		require.NoError(t, told.err)
		require.Equal(t, 9*usual, told.took)
	})
}

func TestAnUploaderThatIsEndedFromOutsideJoinsItsHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: 5 * usual / 2, {5, 2}: 2 * usual})
		s.fails = map[call]error{{5, 1}: errors.New("connection reset")}
		s.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			r, err := s.upload(ctx, p, real)
			if err != nil {
				runtime.Goexit()
			}
			return r, err
		}
		w, pool := open(t, t.Context(), s, nil)
		mustWrite(t, w, 6*part)
		inUse := make(chan int64, 1)
		time.AfterFunc(3*usual, func() { inUse <- pool.InUse() }) // from usual on
		closing := time.Now()
		require.ErrorContains(t, w.Close(), "a hook or the backend panicked, or ended its goroutine")
		require.Equal(t, 4*usual, time.Since(closing))
		require.EqualValues(t, part, <-inUse)
		require.Zero(t, pool.InUse())
		requireNothingLeft(t, s.Backend)
	})
}

// Whatever takes how long: the stream is whole, and no slower than without hedging by more than the rounding of who
// comes first.
func TestHedgingDoesNoHarm(t *testing.T) {
	for seed := range 300 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var took [2]time.Duration
			for i, limits := range []sluice.Limits{smallLimits(), repeatable()} {
				synctest.Test(t, func(t *testing.T) {
					takes := map[call]time.Duration{}
					for n, b := range content(seed + 24)[seed:] {
						takes[call{1 + n/2, 1 + n%2}] = time.Duration(b) * time.Second
					}
					told := newUneven(limits, takes).tell(t, 12, nil)
					require.NoError(t, told.err)
					took[i] = told.took
				})
			}
			require.LessOrEqual(t, took[1], took[0])
		})
	}
}
