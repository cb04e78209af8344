package retry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/sleep"
)

var errBusy = errors.New("busy")

// steady is a policy whose waits a test can foretell: the judge asks for them.
var steady = Policy{Attempts: 5, Base: time.Second, MaxWait: 8 * time.Second, MaxRetryAfter: time.Minute}

var patient = Policy{Budget: time.Hour}.Resolve()

// judged answers every failure with one verdict.
func judged(v Verdict) func(error) Verdict { return func(error) Verdict { return v } }

func TestBackoffDoublesUpToTheCapAndJittersOverAllOfIt(t *testing.T) {
	p := Policy{Base: time.Second, MaxWait: 5 * time.Second}
	for _, c := range []struct {
		attempt int
		random  float64
		want    time.Duration
	}{
		{1, 0, 0},
		{1, 0.5, 500 * time.Millisecond},
		{2, 0.5, time.Second},
		{3, 0.5, 2 * time.Second},
		{4, 0.5, 2500 * time.Millisecond},
		{4, 0.25, 1250 * time.Millisecond},
		{63, 0.5, 2500 * time.Millisecond},
		{64, 0.5, 2500 * time.Millisecond},
		{1 << 30, 0.5, 2500 * time.Millisecond},
	} {
		require.Equal(t, c.want, p.backoff(c.attempt, c.random), "attempt %d, random %v", c.attempt, c.random)
	}
}

func TestWaitFollowsTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict Verdict
		again   bool
		want    time.Duration
	}{
		{"back off", Verdict{Action: BackOff}, false, 2 * time.Second},
		{"at once", Verdict{Action: AtOnce}, false, 0},
		{"at once, the second in a row", Verdict{Action: AtOnce}, true, 2 * time.Second},
		{"the server's wish replaces the backoff", Verdict{Action: BackOff, After: 7 * time.Second}, false, 7 * time.Second},
		{"the server's wish holds for at once too", Verdict{Action: AtOnce, After: 7 * time.Second}, false, 7 * time.Second},
		{"the server's wish is capped", Verdict{Action: BackOff, After: time.Hour}, false, time.Minute},
	} {
		require.Equal(t, c.want, steady.wait(c.verdict, 3, c.again, 0.5), c.name)
	}
}

func TestDoStopsAfterAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		var waits []time.Duration
		err := steady.Do(t.Context(), Call{
			Classify: judged(Verdict{Action: BackOff, After: 3 * time.Second}),
			Backoff: func(ctx context.Context, err error, wait time.Duration) error {
				require.Equal(t, errBusy, err)
				waits = append(waits, wait)
				return sleep.For(ctx, wait)
			},
		}, func(context.Context, *Attempt) error {
			tries++
			return errBusy
		})
		require.Equal(t, errBusy, err)
		require.Equal(t, 5, tries)
		require.Equal(t, 12*time.Second, time.Since(began))
		require.Equal(t, []time.Duration{3e9, 3e9, 3e9, 3e9}, waits)
	})
}

func TestDoStopsAtOnceOnAFinalVerdict(t *testing.T) {
	tries := 0
	err := steady.Do(t.Context(), Call{Classify: judged(Verdict{Action: Stop, After: time.Hour})}, func(context.Context, *Attempt) error {
		tries++
		return errBusy
	})
	require.Equal(t, errBusy, err)
	require.Equal(t, 1, tries)
}

func TestBudgetOutlastsHalfAnHourAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		outage := func(length time.Duration) error {
			return patient.Do(t.Context(), Call{Classify: judged(Verdict{Action: BackOff})}, func(context.Context, *Attempt) error {
				if time.Since(began) < length {
					return errBusy
				}
				return nil
			})
		}
		require.NoError(t, outage(30*time.Minute))

		began = time.Now()
		require.Equal(t, errBusy, outage(24*time.Hour))
		require.LessOrEqual(t, time.Since(began), time.Hour)
		require.Greater(t, time.Since(began), time.Hour-patient.MaxWait)
	})
}

func TestPrepareRunsBeforeEachAttemptOutsideItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Stall = time.Second
		var steps []string
		err := p.Do(t.Context(), Call{
			Prepare: func(context.Context) error {
				time.Sleep(time.Minute)
				steps = append(steps, "prepare")
				return nil
			},
			Classify: judged(Verdict{Action: AtOnce}),
		}, func(ctx context.Context, _ *Attempt) error {
			require.NoError(t, ctx.Err())
			steps = append(steps, "try")
			if len(steps) == 2 {
				return errBusy
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"prepare", "try", "prepare", "try"}, steps)
	})
}

func TestAFailedPrepareEndsTheCall(t *testing.T) {
	err := steady.Do(t.Context(), Call{Prepare: func(context.Context) error { return errBusy }}, func(context.Context, *Attempt) error {
		t.Error("tried")
		return nil
	})
	require.Equal(t, errBusy, err)
}

func TestResolveKeepsWhatIsSet(t *testing.T) {
	p := Policy{Attempts: 3, Budget: time.Minute, MaxWait: time.Millisecond}.Resolve()
	require.Equal(t, 3, p.Attempts)
	require.Equal(t, time.Minute, p.Budget)
	require.Equal(t, time.Millisecond, p.Base, "never above MaxWait")
	require.Zero(t, patient.Attempts, "as many as fit into the budget")
	require.Equal(t, 10, Policy{}.Resolve().Attempts)
}

func TestADoneContextTriesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("source broke")
	cancel(cause)
	err := steady.Do(ctx, Call{}, func(context.Context, *Attempt) error {
		t.Error("tried")
		return nil
	})
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAContextThatEndsCutsTheWaitAndNamesTheLastFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := steady.Do(ctx, Call{Classify: judged(Verdict{Action: BackOff, After: 40 * time.Second})}, func(context.Context, *Attempt) error {
			return errBusy
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errBusy)
		require.EqualError(t, err, "context deadline exceeded (last failure: busy)")
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// What the store answered before is more than that the last attempt was cut off.
func TestDo_NamesTheLastFailureOfTheStoreWhenItsContextEnds(t *testing.T) {
	errSignal := errors.New("signal: terminated")
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("PutObject: %w", context.Cause(ctx))
	}
	for name, c := range map[string]struct {
		prepare, try func(ctx context.Context, number int) error
		want         string
	}{
		"in an attempt": {nil, func(ctx context.Context, number int) error {
			if number < 3 {
				return errBusy
			}
			return hang(ctx)
		}, "signal: terminated (last failure: busy)"},
		"in a wait": {nil, func(context.Context, int) error { return errBusy }, "signal: terminated (last failure: busy)"},
		"in a log-in after an attempt": {func(ctx context.Context, number int) error {
			if number < 3 {
				return nil
			}
			return hang(ctx)
		}, func(context.Context, int) error { return errBusy }, "signal: terminated (last failure: busy)"},
		"in the retries of a log-in": {func(ctx context.Context, _ int) error {
			return steady.Do(ctx, Call{Classify: judged(Verdict{Action: BackOff, After: time.Hour})}, func(context.Context, *Attempt) error {
				return errBusy
			})
		}, nil, "signal: terminated (last failure: busy)"},
		"with a failure of its own": {nil, func(ctx context.Context, number int) error {
			if number < 3 {
				return errors.New("slow")
			}
			<-ctx.Done()
			return errBusy
		}, "signal: terminated (last failure: busy)"},
		"with no failure": {nil, func(ctx context.Context, _ int) error { return hang(ctx) }, "signal: terminated"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errSignal)
				defer cancel()
				prepared, tried := 0, 0
				call := Call{Classify: judged(Verdict{Action: BackOff, After: 20 * time.Second})}
				if c.prepare != nil {
					call.Prepare = func(ctx context.Context) error { prepared++; return c.prepare(ctx, prepared) }
				}
				err := steady.Do(ctx, call, func(ctx context.Context, _ *Attempt) error { tried++; return c.try(ctx, tried) })
				require.EqualError(t, err, c.want)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errSignal)
				require.Equal(t, name != "with no failure", errors.Is(err, errBusy))
			})
		})
	}
}

// A dial that took too long matches context.DeadlineExceeded, and is no end of
// the context.
func TestDo_NamesATimeoutOfTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		dial := &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
		err := steady.Do(ctx, Call{Classify: judged(Verdict{Action: BackOff, After: 50 * time.Second})}, func(context.Context, *Attempt) error {
			time.Sleep(20 * time.Second)
			return dial
		})
		require.EqualError(t, err, "context deadline exceeded (last failure: dial tcp: context deadline exceeded)")
	})
}

func TestAnAttemptEndsAtItsDeadlineAndIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Timeout = 5 * time.Second
		began, tries := time.Now(), 0
		err := p.Do(t.Context(), Call{Classify: judged(Verdict{Action: AtOnce})}, func(ctx context.Context, _ *Attempt) error {
			if tries++; tries == 2 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestAGivenUpAttemptIsNotTakenForTheCallersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Attempts, p.Stall = 1, time.Minute
		err := p.Do(t.Context(), Call{Classify: judged(Verdict{Action: BackOff})}, func(ctx context.Context, _ *Attempt) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, ErrStalled)
		require.NotErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "connection stalled: no byte moved: context canceled")
	})
}

func TestTheWatchdogCountsFromTheLastMovedByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Attempts, p.Stall = 1, 10*time.Second
		began := time.Now()
		err := p.Do(t.Context(), Call{Classify: judged(Verdict{})}, func(ctx context.Context, a *Attempt) error {
			for range 5 {
				time.Sleep(9 * time.Second)
				require.NoError(t, ctx.Err(), "bytes move")
				a.Moved()
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, ErrStalled)
		require.Equal(t, 55*time.Second, time.Since(began))
	})
}

func TestOnce_NeverEndsAnUploadWhoseBytesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Timeout, p.Stall = 5*time.Minute, 2*time.Minute
		began := time.Now()
		err := p.Once(t.Context(), func(ctx context.Context, a *Attempt) error {
			for range 1000 {
				time.Sleep(time.Minute)
				require.NoError(t, ctx.Err())
				a.Carried()
			}
			for ctx.Err() == nil { // an answer that comes in drops
				time.Sleep(time.Minute)
				a.Moved()
			}
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, ErrTimeout)
		require.InDelta(t, 1005*time.Minute, time.Since(began), float64(time.Minute))
	})
}

func TestOnce_EndsACallWhoseAnswerDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Timeout, p.Stall = 5*time.Minute, 2*time.Minute
		began := time.Now()
		err := p.Once(t.Context(), func(ctx context.Context, a *Attempt) error {
			for ctx.Err() == nil {
				time.Sleep(3 * time.Second)
				a.Moved()
			}
			return context.Cause(ctx)
		})
		require.ErrorIs(t, err, ErrTimeout)
		require.InDelta(t, 5*time.Minute, time.Since(began), float64(3*time.Second))
	})
}

func TestOnce_CountsStallsAndTimeoutsAsCongestion(t *testing.T) {
	for _, p := range []Policy{{Timeout: time.Second}, {Stall: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			err := p.Once(t.Context(), func(ctx context.Context, _ *Attempt) error {
				<-ctx.Done()
				return ctx.Err()
			})
			require.ErrorIs(t, err, sluice.ErrSlowDown)
			require.True(t, GaveUp(err))
		})
	}
}

func TestValidateNamesTheValue(t *testing.T) {
	require.NoError(t, Policy{}.Resolve().Validate())
	require.NoError(t, patient.Validate())
	for want, change := range map[string]func(*Policy){
		"retry policy: Attempts -1 is negative":                                                 func(p *Policy) { p.Attempts = -1 },
		"retry policy: Attempts and Budget are both 0, so a dead store would be tried for ever": func(p *Policy) { p.Attempts = 0 },
		"retry policy: Base 0s is not positive":                                                 func(p *Policy) { p.Base = 0 },
		"retry policy: MaxWait 1ms is less than Base 1s":                                        func(p *Policy) { p.MaxWait = time.Millisecond },
		"retry policy: Stall -1 is negative":                                                    func(p *Policy) { p.Stall = -1 },
	} {
		p := Policy{}.Resolve()
		change(&p)
		require.EqualError(t, p.Validate(), want)
	}
}

func TestAfterReadsSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		" 7 ":                            7 * time.Second,
		"-7":                             0,
		"1.5":                            0,
		"soon":                           0,
		"9223372036854775807":            longestAfter,
		"99999999999999999999999":        0,
		"Sun, 01 Mar 2026 12:00:30 GMT":  30 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT":  0,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute,
		"Fri, 31 Dec 9999 23:59:59 GMT":  longestAfter,
	} {
		require.Equal(t, want, After(http.Header{"Retry-After": {text}}, now), "%q", text)
	}
	require.Zero(t, After(http.Header{}, now))
}

func FuzzAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "Sun, 01 Mar 2026 12:00:30 GMT"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		after := After(http.Header{"Retry-After": {text}}, now)
		require.GreaterOrEqual(t, after, time.Duration(0))
		require.LessOrEqual(t, after, longestAfter)
	})
}
