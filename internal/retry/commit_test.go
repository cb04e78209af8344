package retry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// step is what happens to one attempt: what the store does, when it shows, and
// what the client learns.
type step struct {
	does    bool
	after   time.Duration // from the attempt on, until the store has done it
	unsent  bool          // the request does not leave
	outcome Outcome       // that the answer is evidence of
}

// sights are what a look-up can see of a request that is done, or that is coming:
// the store is at work on it.
var sights = map[string]func(done, coming bool) (Outcome, error){
	"no look-up": nil,
	"everything": func(done, coming bool) (Outcome, error) {
		if done {
			return Done, nil
		}
		return map[bool]Outcome{true: Unknown, false: NotDone}[coming], nil
	},
	"files": func(done, _ bool) (Outcome, error) {
		if done {
			return Done, nil
		}
		return NotDone, nil
	},
	"nothing": func(_, _ bool) (Outcome, error) { return NotDone, nil },
	"denied":  func(_, _ bool) (Outcome, error) { return Unknown, errors.New("denied") },
}

// decides are the sights whose NotDone is evidence after a Conflict, too.
var decides = []string{"everything", "denied"}

// steps are all consistent steps: an answer of success and a refusal are true,
// and what has not left is not done.
func steps() []step {
	var all []step
	for _, after := range []time.Duration{0, 3 * time.Second, time.Hour} {
		all = append(all, step{does: true, after: after, outcome: Unknown}, step{does: true, after: after, outcome: Conflict})
	}
	return append(all,
		step{does: true, outcome: Done},
		step{outcome: Unknown},
		step{outcome: NotDone},
		step{unsent: true, outcome: Unknown},
		step{outcome: Conflict},
	)
}

// Every sequence of three attempts, with every look-up. A nil error means that
// the request was done; NotDone means that it was not and never will be; and
// nothing is sent again after an unknown outcome unless that is permitted.
func TestCommit_IsNeverWrong(t *testing.T) {
	for sight, see := range sights {
		for _, repeat := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, repeat %v", sight, repeat), func(t *testing.T) {
				for _, first := range steps() {
					for _, second := range steps() {
						for _, third := range steps() {
							synctest.Test(t, func(t *testing.T) {
								script := []step{first, second, third}
								conflict := slices.ContainsFunc(script, func(s step) bool { return s.outcome == Conflict })
								if !conflict || slices.Contains(decides, sight) {
									requireTrue(t, script, see, repeat)
								}
							})
						}
					}
				}
			})
		}
	}
}

// outcomeError is the failure of an attempt that is evidence of an outcome.
type outcomeError Outcome

func (e outcomeError) Error() string { return Outcome(e).String() }

// requireTrue runs a commit whose attempts take the steps in turn.
func requireTrue(t *testing.T, script []step, see func(done, coming bool) (Outcome, error), repeat bool) {
	ever := false
	var doneAt time.Time
	doubtful, permitted := false, true
	attempts := 0
	p := steady
	p.Attempts = len(script)
	c := Commit{
		Call: Call{Classify: func(err error) Verdict {
			outcome, _ := errors.AsType[outcomeError](err)
			return Verdict{Action: BackOff, After: time.Second, Outcome: Outcome(outcome)}
		}},
		Repeat: repeat, Doubt: sluice.ErrFinishUnknown,
		Send: func(_ context.Context, a *Attempt) error {
			require.True(t, permitted, "%+v: sent again", script)
			s := script[attempts]
			attempts++
			if s.does && !ever {
				ever, doneAt = true, time.Now().Add(s.after)
			}
			if !s.unsent {
				a.Sent()
			}
			if s.outcome == Done {
				return nil
			}
			if s.outcome == Unknown && !s.unsent {
				doubtful, permitted = true, repeat
			}
			doubtful = doubtful || s.outcome == Conflict
			return outcomeError(s.outcome)
		},
	}
	if see != nil {
		c.Lookup = func(_ context.Context, refusal error) (Outcome, error) {
			require.True(t, doubtful, "there is nothing to look for")
			require.True(t, refusal == nil || refusal == outcomeError(Conflict))
			done := ever && !time.Now().Before(doneAt)
			seen, err := see(done, ever && !done)
			permitted = repeat || seen == NotDone
			return seen, err
		}
	}
	result, err := p.Commit(t.Context(), c)
	require.Equal(t, result.Outcome == Done, err == nil)
	require.Equal(t, result.Outcome == Unknown, errors.Is(err, sluice.ErrFinishUnknown))
	switch result.Outcome {
	case Done:
		require.True(t, ever, "%+v: it was not done", script)
	case NotDone:
		require.False(t, ever, "%+v: it was done", script)
	}
	if script[0].outcome == Unknown && !script[0].unsent && see == nil && !repeat {
		require.Equal(t, 1, attempts, "nothing can allow another attempt")
	}
}

// lost is a Send that never gets an answer.
func lost(_ context.Context, a *Attempt) error {
	a.Sent()
	return errBusy
}

func TestCommit_LooksAgainWhileTheStoreIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := steady
		p.Attempts = 1
		result, err := p.Commit(t.Context(), Commit{
			Call: Call{Classify: judged(Verdict{Action: BackOff})}, Send: lost,
			Lookup: func(context.Context, error) (Outcome, error) {
				if time.Since(began) < 10*time.Second {
					return NotDone, nil
				}
				return Done, nil
			},
		})
		require.NoError(t, err)
		require.Equal(t, Done, result.Outcome)
		require.Equal(t, 15*time.Second, time.Since(began))
	})
}

func TestCommit_EndsAUselessLookUpAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		result, err := steady.Commit(t.Context(), Commit{
			Call: Call{Classify: judged(Verdict{})}, Send: lost, Doubt: sluice.ErrLeftBehind,
			Lookup: func(ctx context.Context, _ error) (Outcome, error) {
				<-ctx.Done()
				return Unknown, ctx.Err()
			},
		})
		require.Equal(t, Unknown, result.Outcome)
		require.ErrorIs(t, err, sluice.ErrLeftBehind)
		require.ErrorIs(t, err, errBusy)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "that is the look-up's")
		require.EqualError(t, err, sluice.ErrLeftBehind.Error()+": busy (look-up: context deadline exceeded)")
		require.Equal(t, SettleTime, time.Since(began))
	})
}

func TestCommit_SendsNothingOnceTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := steady.Commit(ctx, Commit{Send: func(context.Context, *Attempt) error {
		t.Error("sent")
		return nil
	}})
	require.Equal(t, NotDone, result.Outcome)
	require.Equal(t, context.Canceled, err)
}

func TestCommit_EndsWithItsContextUntilItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBusy)
		defer cancel()
		began := time.Now()
		result, err := steady.Commit(ctx, Commit{
			Call: Call{Classify: judged(Verdict{})}, Grace: time.Minute,
			Send: func(ctx context.Context, a *Attempt) error {
				a.Sending() // the last bytes, and nothing takes them
				<-ctx.Done()
				return context.Cause(ctx)
			},
		})
		require.Equal(t, NotDone, result.Outcome)
		require.ErrorIs(t, err, errBusy)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestCommit_OutlivesItsContextOnceItIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		answer time.Duration
		want   Outcome
	}{
		"answered": {time.Minute - 1, Done},
		"mute":     {time.Hour, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				result, err := steady.Commit(ctx, Commit{
					Call: Call{Classify: judged(Verdict{})}, Grace: time.Minute,
					Send: func(ctx context.Context, a *Attempt) error {
						a.Sent()
						select {
						case <-time.After(time.Second + c.answer):
							return nil
						case <-ctx.Done():
							return context.Cause(ctx)
						}
					},
				})
				require.Equal(t, c.want, result.Outcome)
				require.Equal(t, time.Second+min(c.answer, time.Minute), time.Since(began))
				if c.want == Unknown {
					require.ErrorIs(t, err, errNoAnswer)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		})
	}
}

// The goroutine that writes may report it only after the answer, or the end of
// the connection, has been read.
func TestCommit_CountsAsSentWhatAnAnswerOvertakes(t *testing.T) {
	result, err := steady.Commit(t.Context(), Commit{
		Call: Call{Classify: judged(Verdict{})},
		Send: func(_ context.Context, a *Attempt) error {
			a.Sending()
			return errBusy
		},
	})
	require.Equal(t, Unknown, result.Outcome)
	require.ErrorIs(t, err, errBusy)
}

// The limits of the policy are those of each attempt, and no look-up's.
func TestCommit_GivesUpASlowAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := steady
		p.Attempts, p.Timeout = 1, time.Second
		result, err := p.Commit(t.Context(), Commit{
			Call: Call{Classify: judged(Verdict{})},
			Send: func(ctx context.Context, a *Attempt) error {
				a.Sent()
				<-ctx.Done()
				return ctx.Err()
			},
			Lookup: func(ctx context.Context, _ error) (Outcome, error) {
				time.Sleep(SettleTime / 2)
				return Done, ctx.Err()
			},
		})
		require.NoError(t, err)
		require.Equal(t, Done, result.Outcome)
	})
}

func TestOutliveLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		_, release := outlive(t.Context(), time.Minute)
		release()
		ctx, cancel := context.WithCancel(t.Context())
		_, release = outlive(ctx, time.Minute)
		cancel()
		synctest.Wait()
		began := time.Now()
		release()
		require.Zero(t, time.Since(began))
	})
}
