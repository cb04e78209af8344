// Package sleep waits as long as a context goes on.
package sleep

import (
	"context"
	"time"
)

// For waits for wait, or until ctx ends, whose error it returns then.
func For(ctx context.Context, wait time.Duration) error {
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
