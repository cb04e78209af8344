package retry

import (
	"context"
	"errors"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// How long calls outlive the context they were made with, so that nothing is left behind.
const (
	// SettleTime is for learning what became of a finish or a single upload.
	SettleTime = time.Minute
	// StartGrace is for the answer to a start under way, which carries the ID to cancel.
	StartGrace = 5 * time.Second
	// CleanupTime is for cancelling what such a start left.
	CleanupTime = 30 * time.Second
)

// errNoAnswer ends a call that outlived its context by its grace.
var errNoAnswer = errors.New("no answer came after the context had ended")

// Outlive returns a context that goes on for the grace after ctx has ended. It is for calls whose answer must
// be waited for.
func Outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errNoAnswer)
		case <-longer.Done():
		}
	})
	return longer, func() {
		cancel(nil)
		if !stop() {
			<-ended
		}
	}
}

// Detached returns a context of bounded length that does not end with ctx.
func Detached(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), length)
}

// OnceSent is Once for a request whose answer is worth waiting for: the attempt ends with ctx until all of the request is
// sent, and from then on with longer. One that ctx ends before that changes nothing at the store. sent tells whether
// the store may have the whole request.
func (p Policy) OnceSent(ctx, longer context.Context, size int64, try func(context.Context, *Attempt) error) (sent bool, err error) {
	err = p.Once(longer, size, func(attempt context.Context, a *Attempt) error {
		attempt, cancel := context.WithCancelCause(attempt)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() {
			if !a.WasSent() {
				cancel(context.Cause(ctx))
			}
		})()
		err := try(attempt, a)
		sent = a.WasSent() || ctx.Err() == nil && a.MayBeSent()
		return err
	})
	return sent, err
}

// Poll asks until the answer is yes, at most five times, waiting from the policy's Base twice as long each
// time, or until ctx ends: for looking at what a store may still be at work on.
func (p Policy) Poll(ctx context.Context, ask func(context.Context) bool) bool {
	wait := p.Base
	for asked := 1; ; asked++ {
		if ask(ctx) {
			return true
		}
		if asked == 5 || sleep.For(ctx, wait) != nil {
			return false
		}
		wait *= 2
	}
}
