package sluice

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// newTestGovernor counts the uploaders it starts in place of starting them.
func newTestGovernor(n int, follows bool) (g *governor, started *int) {
	started = new(int)
	return newGovernor(n, follows, func() { *started++ }), started
}

// letIn are the numbers of the parts let in since it was last called.
func letIn(g *governor) (numbers []int) {
	for len(g.admitted) > 0 {
		numbers = append(numbers, (<-g.admitted).Number)
	}
	return numbers
}

// refuse has an upload that began in that epoch be refused, go on at once and leave. It returns the epoch in which it went on.
func refuse(g *governor, epoch int) int {
	p := &Part{epoch: epoch}
	g.running++
	g.refused(p)
	g.goOn(g.comeBack(p))
	g.leave(false)
	return p.epoch
}

func TestGovernorLetsInByNumberAndNoMoreThanAllowed(t *testing.T) {
	g, started := newTestGovernor(2, false)
	g.offer(&Part{Number: 2}) // hashed before the first part
	require.Empty(t, letIn(g))
	require.False(t, g.busy())
	g.offer(&Part{Number: 1})
	require.Equal(t, []int{1, 2}, letIn(g))
	require.True(t, g.busy())
	g.offer(&Part{Number: 3})
	require.Empty(t, letIn(g))
	g.leave(true)
	require.Equal(t, []int{3}, letIn(g))
	require.Equal(t, 2, *started, "as many uploaders as there were uploads at once")
}

func TestGovernorPassesOverWhatNeedsNoUpload(t *testing.T) {
	g, _ := newTestGovernor(1, false)
	g.pass(2)
	g.pass(1)
	g.offer(&Part{Number: 3})
	require.Equal(t, []int{3}, letIn(g))
	require.Empty(t, g.passed)
}

func TestGovernorEndsTheUploadersBehindTheLastPart(t *testing.T) {
	g, _ := newTestGovernor(1, false)
	g.offer(&Part{Number: 1})
	g.offer(&Part{Number: 2})
	g.end()
	require.Equal(t, []int{1}, letIn(g))
	g.leave(true)
	p, ok := <-g.admitted
	require.True(t, ok)
	require.Equal(t, 2, p.Number)
	_, ok = <-g.admitted
	require.False(t, ok)
	g.leave(true) // which closes nothing again
}

func TestGovernorGivesBackWhatNoUploaderTook(t *testing.T) {
	g, _ := newTestGovernor(1, false)
	g.offer(&Part{Number: 1})
	g.offer(&Part{Number: 2})
	require.Len(t, g.left(), 2)
	g.end()
	require.Empty(t, g.left())
}

func TestGovernorLetsAHedgeInOnlyAfterEveryPartAndWhereThereIsRoom(t *testing.T) {
	g, _ := newTestGovernor(2, true)
	g.offer(&Part{Number: 1})
	require.False(t, g.enterAfter(2), "part 2 is still to come")
	g.pass(2)
	require.True(t, g.enterAfter(2))
	require.False(t, g.enterAfter(2), "both uploads are busy")
	g.leave(true)
	refuse(g, 0)
	require.False(t, g.enterAfter(2), "the store has asked for fewer")
	g.leave(false)
	require.True(t, g.enterAfter(2))
}

func TestGovernorHalvesDownToOneAndNeverBelow(t *testing.T) {
	g, _ := newTestGovernor(5, true)
	for epoch, want := range []int{2, 1, 1, 1} {
		require.Equal(t, epoch+1, refuse(g, epoch))
		require.Equal(t, want, g.allowed())
	}
	require.Equal(t, 4, refuse(g, 0), "an attempt of an earlier epoch changes nothing")
	require.Equal(t, 1, g.allowed())
}

func TestGovernorGoesUpByOneAfterAQuietStretchOnly(t *testing.T) {
	g, _ := newTestGovernor(4, true)
	refuse(g, 0)
	require.Equal(t, 2, g.allowed())
	for i, s := range []struct {
		acknowledged bool
		want         int
	}{{true, 2}, {false, 2}, {true, 3}, {true, 3}, {true, 3}, {true, 4}, {true, 4}, {true, 4}, {true, 4}, {true, 4}} {
		g.offer(&Part{Number: i + 1})
		require.Len(t, letIn(g), 1)
		g.leave(s.acknowledged)
		require.Equal(t, s.want, g.allowed(), "step %d", i)
	}
	refuse(g, 1)
	g.quiet = 1
	refuse(g, 2)
	require.Zero(t, g.quiet, "a refusal ends the quiet stretch")
}

// acknowledge has n parts offered, let in and acknowledged, one after the other.
func acknowledge(t *testing.T, g *governor, n int) {
	t.Helper()
	for range n {
		g.offer(&Part{Number: g.next})
		require.Len(t, letIn(g), 1)
		g.leave(true)
	}
}

func TestAStepUpThatTheStoreRefusesIsTakenBackAndTheNextOneWaitsLonger(t *testing.T) {
	g, _ := newTestGovernor(16, true)
	epoch := refuse(g, 0)
	require.Equal(t, 8, g.allowed())
	for _, stretches := range []int{1, 2, 4, 8, 8} {
		acknowledge(t, g, 8*stretches-1)
		require.Equal(t, 8, g.allowed())
		acknowledge(t, g, 1)
		require.Equal(t, 9, g.allowed())
		acknowledge(t, g, 8) // one short of a stretch
		epoch = refuse(g, epoch)
		require.Equal(t, 8, g.allowed(), "not halved")
	}
}

func TestAStepUpThatLastsIsFollowedByTheNextAtOnce(t *testing.T) {
	g, _ := newTestGovernor(16, true)
	epoch := refuse(g, 0)
	acknowledge(t, g, 8)
	epoch = refuse(g, epoch) // patience is 2
	acknowledge(t, g, 16)
	require.Equal(t, 9, g.allowed())
	acknowledge(t, g, 9)
	require.Equal(t, 10, g.allowed(), "it lasted a stretch, so the line has grown")
	acknowledge(t, g, 9)
	refuse(g, epoch)
	require.Equal(t, 9, g.allowed())
}

func TestAStepUpToTheMostThatLastsIsNotTakenBack(t *testing.T) {
	g, _ := newTestGovernor(4, true)
	epoch := refuse(g, 0)
	acknowledge(t, g, 2+3)
	require.Equal(t, 4, g.allowed())
	acknowledge(t, g, 4) // a stretch
	refuse(g, epoch)
	require.Equal(t, 2, g.allowed(), "halved: the line has changed")
}

func TestWhatWasUnderWayIsNotHeldAgainstTheNewNumber(t *testing.T) {
	g, _ := newTestGovernor(8, true)
	epoch := refuse(g, 0)
	for range 7 {
		require.Equal(t, epoch, refuse(g, 0))
		require.Equal(t, 4, g.allowed())
	}
	refuse(g, epoch)
	require.Equal(t, 2, g.allowed())
}

// offered is a part that was let in, as the test that follows sees to.
func offered(t *testing.T, g *governor, number int) *Part {
	t.Helper()
	g.offer(&Part{Number: number})
	require.Len(t, g.admitted, 1)
	return <-g.admitted
}

func isDone(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

func TestARefusedUploadKeepsItsPlaceUntilAnotherIsAcknowledged(t *testing.T) {
	g, _ := newTestGovernor(4, true)
	one, two := offered(t, g, 1), offered(t, g, 2)
	g.refused(one)
	g.refused(two)
	require.Equal(t, 2, g.allowed())
	g.offer(&Part{Number: 3})
	require.Empty(t, letIn(g), "a store that serves nobody is left alone")

	g.goOn(g.comeBack(two))
	g.leave(false)
	require.Equal(t, []int{3}, letIn(g), "one place is free, one is kept")
	g.offer(&Part{Number: 4})
	g.offer(&Part{Number: 5})
	require.Empty(t, letIn(g))
	g.leave(true)
	require.Equal(t, []int{4, 5}, letIn(g), "the place of part 3, and that of part 1, which rests")
}

func TestARefusedUploadGoesOnWhenThereIsRoomBeforeNewParts(t *testing.T) {
	g, _ := newTestGovernor(4, true)
	var parts []*Part
	for n := range 4 {
		parts = append(parts, offered(t, g, n+1))
	}
	g.refused(parts[1])
	g.refused(parts[0])
	require.Equal(t, 2, g.allowed())
	second, first := g.comeBack(parts[1]), g.comeBack(parts[0])
	g.offer(&Part{Number: 5})
	require.False(t, isDone(first.turn), "two are under way")
	g.leave(true)
	require.True(t, isDone(first.turn), "by number")
	require.False(t, isDone(second.turn))
	require.Equal(t, g.epoch, parts[0].epoch)
	g.leave(false)
	require.True(t, isDone(second.turn))
	require.Empty(t, letIn(g))
}

func TestARefusalMakesRoomForAnUploadWhoseWaitIsOver(t *testing.T) {
	g, _ := newTestGovernor(2, true)
	one, two := offered(t, g, 1), offered(t, g, 2)
	g.refused(one)
	require.Equal(t, 1, g.allowed())
	first := g.comeBack(one)
	require.False(t, isDone(first.turn), "part 2 is under way")
	g.refused(two) // perhaps for an hour
	require.True(t, isDone(first.turn))
}

// A hedger that looks before the uploader has gone on must not take the wait for an upload that is late.
func TestAnAttemptIsUnderWayFromWhenItsPartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGovernor(2, true)
		one := offered(t, g, 1)
		offered(t, g, 2)
		g.refused(one)
		g.comeBack(one)
		time.Sleep(time.Hour) // for room
		g.leave(true)
		require.Zero(t, one.tried.underWay())
	})
}

func TestTheEndOfItsContextEndsARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGovernor(2, true)
		one, two := offered(t, g, 1), offered(t, g, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 2)
		go func() { ended <- g.rest(ctx, one, time.Hour) }()
		synctest.Wait()
		g.running++ // another one is under way, so that part 2 has no room
		go func() { ended <- g.rest(ctx, two, time.Second) }()
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.Equal(t, 3, g.running)
		require.Zero(t, g.resting)
		require.Zero(t, g.kept)
	})
}

// refusing is a store that takes no part.
type refusing struct {
	hold
	asked atomic.Int32
}

func (r *refusing) StartLargeFile(context.Context, FileSpec) (LargeFile, error) { return r, nil }

func (r *refusing) UploadPart(context.Context, *Part) (Receipt, error) {
	r.asked.Add(1)
	return Receipt{}, errors.New("no")
}

func TestNoPartIsLetInAfterOneThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(refusing)
		w, err := New(t.Context(), r, "f", &Options{MemoryLimit: 64 * 16, PageSize: 16, PartSize: 16, Concurrency: 1})
		require.NoError(t, err)
		fail := w.pipeline.fail
		var failing atomic.Bool
		w.pipeline.fail = func(err *Error) error {
			if !failing.Swap(true) {
				synctest.Wait() // whoever can go on has gone on before the failure gets round
			}
			return fail(err)
		}
		_, _ = w.Write(make([]byte, 10*16))
		require.Error(t, w.Close())
		require.EqualValues(t, 1, r.asked.Load())
	})
}

func TestOnlyBeingAskedSlowsDown(t *testing.T) {
	g, _ := newTestGovernor(8, true)
	p := &Part{meter: newMeter(nil), uploads: g}
	require.NoError(t, p.Backoff(t.Context(), errors.New("connection reset"), 0))
	require.Equal(t, 8, g.allowed())
	require.NoError(t, p.Backoff(t.Context(), ErrSlowDown, 0))
	require.Equal(t, 4, g.allowed())
	require.NoError(t, p.Backoff(t.Context(), ErrSlowDown, 0))
	require.Equal(t, 2, g.allowed(), "the retry began in the new epoch")
}
