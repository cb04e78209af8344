package faults

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/sleep"
)

// ErrInjected is the error of an injector that was given none.
var ErrInjected = errors.New("faults: injected failure")

// Injector is one thing that goes wrong. It is made by the functions of this
// package and given to [New].
type Injector struct {
	conditions []Condition
	fired      atomic.Int64

	// Each may be nil. before runs ahead of the call, which is not made if it
	// fails; p is nil but in UploadFile and UploadPart. lost replaces the
	// answer after the call has succeeded.
	before func(ctx context.Context, op Op, p *sluice.Part) error
	lost   error
}

// Fired is how many calls the injector has changed so far.
func (i *Injector) Fired() int { return int(i.fired.Load()) }

// matches asks the conditions up to the first that does not hold.
func (i *Injector) matches(op Op) bool {
	for _, c := range i.conditions {
		if !c(op) {
			return false
		}
	}
	return true
}

// Fail makes a call fail with err and have no effect. A nil err is [ErrInjected].
func Fail(err error, conditions ...Condition) *Injector {
	err = orInjected(err)
	return Do(func(context.Context, Op) error { return err }, conditions...)
}

// Lose makes a call and then loses the answer: the work is done, and the caller
// gets err. A nil err is [ErrInjected]. A call that fails anyway keeps its
// own error. After a Finish the file exists, so a backend that keeps its
// contract has an err that matches [sluice.ErrFinishUnknown]; one that does not
// is a store that lies. A large file whose start is lost is cancelled, as a
// backend has to do.
func Lose(err error, conditions ...Condition) *Injector {
	return &Injector{conditions: conditions, lost: orInjected(err)}
}

// Delay makes a call wait for d first. If its context ends meanwhile, the call
// fails and has no effect.
func Delay(d time.Duration, conditions ...Condition) *Injector {
	return Do(func(ctx context.Context, _ Op) error {
		if sleep.For(ctx, d) != nil {
			return retry.Ended(ctx, nil)
		}
		return nil
	}, conditions...)
}

// Block makes a call hang until its context ends, and then fail with the
// context's error and have no effect.
func Block(conditions ...Condition) *Injector {
	return Do(func(ctx context.Context, _ Op) error {
		<-ctx.Done()
		return retry.Ended(ctx, nil)
	}, conditions...)
}

// Retry makes an upload lose one attempt: half of the bytes are read, then the
// attempt fails with err and is reported by [sluice.Part.Backoff], and the call
// goes on. The conditions are asked about uploads only. A nil err is
// [ErrInjected].
func Retry(err error, conditions ...Condition) *Injector {
	err = orInjected(err)
	before := func(ctx context.Context, _ Op, p *sluice.Part) error {
		body := p.Attempt()
		defer body.Close()
		if _, readErr := io.CopyN(io.Discard, body, p.Size/2); readErr != nil {
			return readErr
		}
		return p.Backoff(ctx, err, 0)
	}
	uploads := OnKind(UploadFile, UploadPart)
	return &Injector{conditions: append([]Condition{uploads}, conditions...), before: before}
}

// Do runs f before a call. If f fails so does the call, with f's error and
// without effect. It is how a test stops a call at a certain point, or looks at
// it.
func Do(f func(context.Context, Op) error, conditions ...Condition) *Injector {
	before := func(ctx context.Context, op Op, _ *sluice.Part) error { return f(ctx, op) }
	return &Injector{conditions: conditions, before: before}
}

func orInjected(err error) error {
	if err == nil {
		return ErrInjected
	}
	return err
}
