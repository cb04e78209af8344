package retry

import (
	"context"
	"errors"
	"time"
)

// ErrNoAnswer ends a call that outlived its context by its grace.
var ErrNoAnswer = errors.New("no answer came after the context had ended")

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
			cancel(ErrNoAnswer)
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

// Poll asks until the answer is yes, at most five times, waiting from the policy's Base twice as long each
// time, or until ctx ends: for looking at what a store may still be at work on.
func (p Policy) Poll(ctx context.Context, ask func(context.Context) bool) bool {
	wait := p.Base
	for asked := 1; ; asked++ {
		if ask(ctx) {
			return true
		}
		if asked == 5 || !sleep(ctx, wait) {
			return false
		}
		wait *= 2
	}
}
