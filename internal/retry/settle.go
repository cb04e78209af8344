package retry

import (
	"context"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// How long calls outlive the context they were made with.
const (
	// SettleTime is for learning what became of a finish or a single upload.
	SettleTime = time.Minute
	// StartGrace is for the answer to a start, which has the ID to cancel.
	StartGrace = 5 * time.Second
	// CleanupTime is for cancelling what such a start has begun.
	CleanupTime = 30 * time.Second
)

// Detached returns a context of bounded length that does not end with ctx.
func Detached(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), length)
}

// Poll calls ask until it returns true, at most five times or until ctx ends,
// and reports whether it did. The first wait is the policy's Base; each following
// one is twice as long. It is for changes that a store may still be at work on.
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
