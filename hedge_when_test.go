package sluice_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// These tests are about when a part is hedged. What comes of it is in hedge_test.go, and so are the stores.

func TestOnlyTwiceTheUsualTimeIsLate(t *testing.T) {
	for _, c := range []struct {
		takes  time.Duration
		hedges int
	}{{2*usual - 1, 0}, {2*usual + 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: c.takes})
			told := s.tell(t, 6, nil)
			require.NoError(t, told.err)
			require.Equal(t, c.hedges, told.stats.Hedges, "%v", c.takes)
			require.Equal(t, usual+c.takes, told.took)
		})
	}
}

func TestWhatIsUsualIsLearnedFromThreePartsAtLeast(t *testing.T) {
	for known, hedges := range map[int]int{2: 0, 3: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newUneven(repeatable(), map[call]time.Duration{{1, 1}: 10 * usual})
			told := s.tell(t, known+1, nil)
			require.NoError(t, told.err)
			require.Equal(t, hedges, told.stats.Hedges, "%d others", known)
		})
	}
}

func TestWhatIsOverInASecondIsNotHedged(t *testing.T) {
	for takes, hedges := range map[time.Duration]int{999 * time.Millisecond: 0, 1001 * time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			quick := map[call]time.Duration{{5, 1}: takes}
			for _, n := range []int{1, 2, 3, 4, 6} {
				quick[call{n, 1}] = time.Millisecond
			}
			told := newUneven(repeatable(), quick).tell(t, 6, nil)
			require.NoError(t, told.err)
			require.Equal(t, hedges, told.stats.Hedges, "%v", takes)
		})
	}
}

func TestNothingIsHedgedBeforeTheSourceHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{2, 1}: time.Hour})
		w, _ := open(t, t.Context(), s, nil)
		mustWrite(t, w, 6*part)
		time.Sleep(10 * usual) // two uploads are idle, but there may be more to send
		require.Zero(t, w.Stats().Hedges)
		closing := time.Now()
		require.NoError(t, w.Close())
		require.Equal(t, []int{2}, s.hedged())
		require.Equal(t, usual/2+usual, time.Since(closing), "the last part goes first, in two pieces")
	})
}

// Nothing else begins or ends when this upload begins.
func TestAnUploadThatBeginsLastIsHedgedAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{5, 1}: time.Hour})
		told := s.tell(t, 6, func(o *sluice.Options) {
			o.Hooks.PartStarted = func(p sluice.PartEvent) {
				if p.Number == 5 {
					time.Sleep(5 * usual)
				}
			}
		})
		require.NoError(t, told.err)
		require.Equal(t, 9*usual, told.took)
	})
}

func TestNothingIsHedgedWhereRepeatsAreNotSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(smallLimits(), map[call]time.Duration{{5, 1}: 50 * usual})
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Zero(t, told.stats.Hedges)
		require.Equal(t, 51*usual, told.took)
	})
}

func TestAHedgeWaitsForAnIdleUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{4, 1}: time.Hour, {5, 1}: time.Hour, {6, 1}: 3 * usual})
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 6*usual, told.took, "the third is done at four, one is hedged then, the other when that is done")
		require.Equal(t, []int{4, 5}, s.hedged())
	})
}

func TestAHedgeThatFailsLeavesItsUploadToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{4, 1}: 8 * usual, {5, 1}: 8 * usual})
		s.fails = map[call]error{{4, 2}: errors.New("503 busy"), {5, 2}: errors.New("503 busy")}
		began := time.Now()
		var hedged []time.Duration
		told := s.tell(t, 6, func(o *sluice.Options) {
			note := o.Hooks.PartHedged
			o.Hooks.PartHedged = func(p sluice.PartEvent) {
				note(p)
				hedged = append(hedged, time.Since(began))
			}
		})
		require.NoError(t, told.err)
		require.Equal(t, []time.Duration{3 * usual, 4 * usual}, hedged)
	})
}

func TestOneUploadAtATimeIsNeverHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), map[call]time.Duration{{6, 1}: 50 * usual})
		told := s.tell(t, 6, func(o *sluice.Options) { o.Concurrency = 1 })
		require.NoError(t, told.err)
		require.Zero(t, told.stats.Hedges)
	})
}

// What waits between attempts is not under way: the store may have asked for the wait.
func TestAPartThatWaitsForItsNextAttemptIsNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUneven(repeatable(), nil)
		s.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			if p.Number == 5 {
				time.Sleep(usual)
				_ = p.Backoff(ctx, errors.New("503 busy"), 5*usual)
			}
			return s.upload(ctx, p, real)
		}
		told := s.tell(t, 6, nil)
		require.NoError(t, told.err)
		require.Equal(t, 8*usual, told.took)
		require.Zero(t, told.stats.Hedges)
	})
}
