// Package retry is the one retry policy that all backends share: how often, how
// long to wait, how long an attempt may last, and when it has stalled. Which
// errors are worth another attempt is each backend's own knowledge; it says so
// in a [Verdict].
package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// Policy is numbers only, and is not changed while in use. It may be shared by
// any number of goroutines.
type Policy struct {
	// Attempts is the most attempts of one call; 0 means as many as Budget allows.
	Attempts int
	// Budget is the total time of one call: no wait is begun that would end
	// later than that after the first attempt began. 0 means no limit. What
	// makes an attempt later still, a [Backoff] that waits for its turn or a
	// Prepare that retries by itself, is not cut short.
	Budget time.Duration

	// Base is the longest first wait. Each following one is at most twice the
	// one before, up to MaxWait.
	Base, MaxWait time.Duration
	// MaxRetryAfter cuts what a server asks for, so that it cannot park a client for hours.
	MaxRetryAfter time.Duration

	// Timeout is how long an attempt may last after it carried the last byte of a
	// file: a transfer whose bytes move is not ended for its age. 0 means no limit.
	Timeout time.Duration
	// Stall is how long an attempt may go on without a byte moving in either
	// direction, the wait for the answer included. 0 means no limit.
	Stall time.Duration
}

// Validate refuses a policy that would never end, or never try.
func (p Policy) Validate() error {
	switch {
	case p.Attempts < 0:
		return fmt.Errorf("retry policy: Attempts %d is negative", p.Attempts)
	case p.Attempts == 0 && p.Budget == 0:
		return errors.New("retry policy: Attempts and Budget are both 0, so a dead store would be tried for ever")
	case p.Base <= 0:
		return fmt.Errorf("retry policy: Base %v is not positive", p.Base)
	case p.MaxWait < p.Base:
		return fmt.Errorf("retry policy: MaxWait %v is less than Base %v", p.MaxWait, p.Base)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Budget", int64(p.Budget)},
		{"MaxRetryAfter", int64(p.MaxRetryAfter)},
		{"Timeout", int64(p.Timeout)},
		{"Stall", int64(p.Stall)},
	} {
		if f.value < 0 {
			return fmt.Errorf("retry policy: %s %d is negative", f.name, f.value)
		}
	}
	return nil
}

// backoff is the wait after the attempt of that number (from 1), in full
// jitter: random in [0,1) picks a point between nothing and the doubled, capped
// base, so that clients that failed together do not come back together.
func (p Policy) backoff(attempt int, random float64) time.Duration {
	longest := p.MaxWait
	if shift := attempt - 1; shift < 62 && p.Base <= p.MaxWait>>shift {
		longest = p.Base << shift
	}
	return time.Duration(random * float64(longest))
}

// Action is what to do after a failure.
type Action int

const (
	// Stop means that another attempt would fail in the same way.
	Stop Action = iota
	// BackOff means another attempt after a wait.
	BackOff
	// AtOnce means another attempt elsewhere (another server, another token)
	// without a wait. Of several in a row only the first goes at once; the
	// others back off, since elsewhere is no better.
	AtOnce
)

func (a Action) String() string {
	switch a {
	case BackOff:
		return "back off"
	case AtOnce:
		return "at once"
	default:
		return "stop"
	}
}

// Verdict is what the classification of one failure found. It is made once, by
// the attempt.
type Verdict struct {
	Action Action
	// After is the wait that the server asked for, in place of the policy's own; 0 if it did not.
	After time.Duration
	// Outcome is what is known about a request that was sent; see [Commit].
	Outcome Outcome
}

// wait is the time between the failed attempt of that number and the next one.
func (p Policy) wait(v Verdict, attempt int, again bool, random float64) time.Duration {
	switch {
	case v.After > 0:
		return min(v.After, p.MaxRetryAfter)
	case v.Action == AtOnce && !again:
		return 0
	default:
		return p.backoff(attempt, random)
	}
}

// Call is what one call brings to the policy.
type Call struct {
	// Prepare is run before each attempt, outside its limits: it may retry by
	// itself, as logging in does. Its failure ends the call. nil is skipped.
	Prepare func(context.Context) error
	// Classify is called once with the failure of each attempt.
	Classify func(error) Verdict
	// Backoff is run between attempts; nil just waits.
	Backoff Backoff
}

// Backoff is told of a failure that is followed by another attempt, and waits,
// at least so long, unless ctx ends before, whose error it returns then. It is
// what [sluice.Part.Backoff] does.
type Backoff func(ctx context.Context, err error, wait time.Duration) error

// Logged is a Backoff that writes to the log, at debug level, and leaves the
// rest to next; nil just waits.
func Logged(log *slog.Logger, message string, next Backoff) Backoff {
	return func(ctx context.Context, err error, wait time.Duration) error {
		log.Debug(message, slog.Any("after", err), slog.Duration("wait", wait))
		return next.orWait()(ctx, err, wait)
	}
}

func (b Backoff) orWait() Backoff {
	if b == nil {
		return func(ctx context.Context, _ error, wait time.Duration) error { return sleep.For(ctx, wait) }
	}
	return b
}

// Do makes attempts under the policy's Timeout and Stall until one succeeds, the
// verdict is Stop, the policy is used up or ctx is done. try uses the context it
// is given, which ends by these limits, and reports moved bytes to the Attempt.
//
// The error is the last attempt's. If ctx ended the call, the error matches ctx's
// error, its cause, and the last failure that was not merely its end; see
// [Ended]. If ctx is done at the start nothing is tried.
func (p Policy) Do(ctx context.Context, c Call, try func(context.Context, *Attempt) error) error {
	s := series{Policy: p, Call: c, began: time.Now()}
	for {
		if err := s.prepare(ctx); err != nil {
			return err
		}
		err := p.Once(ctx, try)
		if err == nil {
			return nil
		}
		if err := s.backOff(ctx, c.Classify(err), err); err != nil {
			return err
		}
	}
}

type series struct {
	Policy
	Call
	began  time.Time
	failed int   // attempts
	atOnce bool  // the last verdict
	last   error // the last failure that was not merely the end of a context
}

// prepare is called before each attempt. Its error is the call's.
func (s *series) prepare(ctx context.Context) error {
	if ctx.Err() != nil {
		return Ended(ctx, s.last)
	}
	if s.Prepare == nil {
		return nil
	}
	err := s.Prepare(ctx)
	if err != nil && ctx.Err() != nil {
		return Ended(ctx, failure(ctx, err, s.last))
	}
	return err
}

// backOff is called after an attempt that failed with err. It waits for the next
// one and returns nil, or the call's error if there is no next one.
func (s *series) backOff(ctx context.Context, v Verdict, err error) error {
	s.failed++
	s.last = failure(ctx, err, s.last)
	if ctx.Err() != nil {
		return Ended(ctx, s.last)
	}
	if v.Action == Stop || s.failed == s.Attempts {
		return err
	}
	wait := s.wait(v, s.failed, s.atOnce, rand.Float64())
	s.atOnce = v.Action == AtOnce
	if s.Budget > 0 && time.Since(s.began)+wait > s.Budget {
		return err
	}
	if s.Backoff.orWait()(ctx, err, wait) != nil {
		return Ended(ctx, s.last)
	}
	return nil
}

// Ended is the error of a call that ctx ended: it matches ctx's error, its
// cause, and the last failure, which may be nil.
func Ended(ctx context.Context, last error) error {
	e := &endedError{ctx: ctx.Err(), cause: context.Cause(ctx), last: last}
	if e.last == nil && e.cause == e.ctx {
		return e.ctx
	}
	return e
}

type endedError struct {
	ctx, cause, last error // last may be nil
}

// failure is what err says beside that ctx has ended, or last if it says nothing
// else.
func failure(ctx context.Context, err, last error) error {
	if ctx.Err() == nil {
		return err
	}
	if e, ok := errors.AsType[*endedError](err); ok && e.last != nil {
		return e.last
	}
	if errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)) {
		return last
	}
	return err
}

func (e *endedError) Error() string {
	if e.last == nil {
		return e.cause.Error()
	}
	return e.cause.Error() + " (last failure: " + e.last.Error() + ")"
}

// LastFailure is what the call met before its context ended, nil if that was
// nothing.
func (e *endedError) LastFailure() error { return e.last }

func (e *endedError) Unwrap() []error {
	errs := []error{e.ctx, e.cause}
	if e.last != nil {
		errs = append(errs, e.last)
	}
	return errs
}
