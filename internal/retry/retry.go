// Package retry is the one retry policy that all backends share: how often, how long to wait, how long an
// attempt may last, and when it has stalled. Which errors are worth another attempt is each backend's own
// knowledge; it says so in a [Verdict].
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

// Policy is numbers only, and is not changed while in use. It may be shared by any number of goroutines.
type Policy struct {
	// Attempts is the most attempts of one call; 0 means as many as Budget allows.
	Attempts int
	// Budget is the total time of one call: no wait is begun that would end later than that after the first
	// attempt began. 0 means no limit. What makes an attempt later still, a [Backoff] that waits for its turn or a
	// Prepare that retries by itself, is not cut short.
	Budget time.Duration

	// Base is the longest first wait. Each following one is at most twice the one before, up to MaxWait.
	Base, MaxWait time.Duration
	// MaxRetryAfter cuts what a server asks for, so that it cannot park a client for hours.
	MaxRetryAfter time.Duration

	// Timeout is how long an attempt may last, and MinRate, in bytes per second, adds the time that its
	// bytes take on a slow link. 0 means no limit; MinRate 0 adds nothing.
	Timeout time.Duration
	MinRate int64
	// Stall is how long an attempt may go on without a byte moving in either direction, the wait for
	// the answer included. 0 means no limit.
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
		{"MinRate", p.MinRate},
		{"Stall", int64(p.Stall)},
	} {
		if f.value < 0 {
			return fmt.Errorf("retry policy: %s %d is negative", f.name, f.value)
		}
	}
	return nil
}

// backoff is the wait after the attempt of that number (from 1), in full jitter: random in [0,1) picks a
// point between nothing and the doubled, capped base, so that clients that failed together do not come
// back together.
func (p Policy) backoff(attempt int, random float64) time.Duration {
	longest := p.MaxWait
	if shift := attempt - 1; shift < 62 && p.Base <= p.MaxWait>>shift {
		longest = p.Base << shift
	}
	return time.Duration(random * float64(longest))
}

// Deadline is how long an attempt that moves size bytes may last; 0 means no limit.
func (p Policy) Deadline(size int64) time.Duration {
	if p.Timeout == 0 || p.MinRate == 0 {
		return p.Timeout
	}
	return p.Timeout + time.Duration(float64(size)/float64(p.MinRate)*float64(time.Second))
}

// Action is what to do after a failure.
type Action int

const (
	// Stop means that another attempt would fail in the same way.
	Stop Action = iota
	// BackOff means another attempt after a wait.
	BackOff
	// AtOnce means another attempt elsewhere (another server, another token) without a wait. Of several
	// in a row only the first goes at once; the others back off, since elsewhere is no better.
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

// Verdict is a backend's judgement of one failure.
type Verdict struct {
	Action Action
	// After is the wait that the server asked for, in place of the policy's own; 0 if it did not.
	After time.Duration
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
	// Size is the bytes that an attempt moves.
	Size int64
	// Prepare is run before each attempt, outside its limits: it may retry by itself, as logging in does.
	// Its failure ends the call. nil is skipped.
	Prepare func(context.Context) error
	// Judge classifies a failure. It is not asked once the caller's context is done.
	Judge func(error) Verdict
	// Backoff is run between attempts; nil just waits.
	Backoff Backoff
}

// Backoff is told of a failure that is followed by another attempt, and waits, at least so long, unless ctx ends before,
// whose error it returns then. It is what [sluice.Part.Backoff] does.
type Backoff func(ctx context.Context, err error, wait time.Duration) error

// Logged is a Backoff that writes to the log, at debug level, and leaves the rest to next; nil just waits.
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

// Do tries until an attempt succeeds, the verdict is Stop, the policy is used up or ctx is done. The error
// is the last attempt's; if ctx ended the call, it matches ctx's error and its cause as well. If ctx is done
// at the start nothing is tried.
//
// try uses the context it is given, which ends by the policy's deadline and stall limit, and reports moved
// bytes to the Attempt.
func (p Policy) Do(ctx context.Context, c Call, try func(context.Context, *Attempt) error) error {
	began := time.Now()
	var last error
	again := false
	for number := 1; ; number++ {
		if ctx.Err() != nil {
			return Ended(ctx, last)
		}
		if c.Prepare != nil {
			if err := c.Prepare(ctx); err != nil {
				return err
			}
		}
		err := p.Once(ctx, c.Size, try)
		if err == nil {
			return nil
		}
		last = err
		if ctx.Err() != nil {
			return Ended(ctx, last)
		}
		v := c.Judge(err)
		if v.Action == Stop || number == p.Attempts {
			return err
		}
		wait := p.wait(v, number, again, rand.Float64())
		again = v.Action == AtOnce
		if p.Budget > 0 && time.Since(began)+wait > p.Budget {
			return err
		}
		if c.Backoff.orWait()(ctx, err, wait) != nil {
			return Ended(ctx, last)
		}
	}
}

// Ended is the error of a call that ctx ended: it matches ctx's error, its cause, and the last failure,
// which may be nil.
func Ended(ctx context.Context, last error) error {
	e := &endedError{ctx: ctx.Err(), cause: context.Cause(ctx)}
	if last != nil && !errors.Is(last, e.ctx) && !errors.Is(last, e.cause) {
		e.last = last
	}
	if e.last == nil && e.cause == e.ctx {
		return e.ctx
	}
	return e
}

type endedError struct {
	ctx, cause, last error // last is nil if it only repeats the others
}

func (e *endedError) Error() string {
	if e.last == nil {
		return e.cause.Error()
	}
	return e.cause.Error() + " (last failure: " + e.last.Error() + ")"
}

func (e *endedError) Unwrap() []error {
	errs := []error{e.ctx, e.cause}
	if e.last != nil {
		errs = append(errs, e.last)
	}
	return errs
}
