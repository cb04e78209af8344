package retry

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice"
)

// Why an attempt was given up. Both are worth another attempt; for a server
// they look like a client that hung up.
var (
	// ErrTimeout means that an attempt took longer than the Timeout of its policy.
	ErrTimeout = errors.New("attempt took too long")
	// ErrStalled means that no byte moved for the stall limit.
	ErrStalled = errors.New("connection stalled: no byte moved")
)

// GaveUp tells whether an attempt failed with err because it was given up here.
func GaveUp(err error) bool { return errors.Is(err, ErrTimeout) || errors.Is(err, ErrStalled) }

// Attempt is one try of a call. Its methods may be called concurrently.
type Attempt struct {
	began   time.Time
	moved   atomic.Int64 // time of the last moved byte, since began
	carried atomic.Int64 // time of the last byte of a file
	sent    atomic.Bool

	sending atomic.Bool
}

// Moved reports that bytes came in.
func (a *Attempt) Moved() { a.moved.Store(int64(time.Since(a.began))) }

// Carried reports that bytes of a file went out or came in.
func (a *Attempt) Carried() {
	now := int64(time.Since(a.began))
	a.moved.Store(now)
	a.carried.Store(now)
}

// Sent reports that the whole request body was handed to the transport.
func (a *Attempt) Sent() { a.sent.Store(true) }

// Sending reports that the last bytes of the request body are about to be handed to the transport.
func (a *Attempt) Sending() { a.sending.Store(true) }

// MayBeSent tells whether the store may have the whole request body, though
// that was not reported yet: an answer can arrive before the report that the last
// bytes are out.
func (a *Attempt) MayBeSent() bool { return a.sending.Load() || a.sent.Load() }

// WasSent tells whether the store may have the whole request body.
func (a *Attempt) WasSent() bool { return a.sent.Load() }

// Once runs try once, under the policy's Timeout and Stall. An error that these
// caused matches [ErrTimeout] or [ErrStalled], and not the context that ended.
func (p Policy) Once(ctx context.Context, try func(context.Context, *Attempt) error) error {
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &Attempt{began: time.Now()}
	if p.Timeout > 0 || p.Stall > 0 {
		watch.Go(func() { cancel(a.watch(ctx, p)) })
	}
	err := try(ctx, a)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); (cause == ErrTimeout || cause == ErrStalled) && !errors.Is(err, cause) {
		return &gaveUpError{cause: cause, err: err}
	}
	return err
}

// watch waits until the attempt has taken too long or has stalled, and returns
// which of the two; nil if ctx has ended before. The timer is set again only
// when it fires, so that a moved byte costs one store.
func (a *Attempt) watch(ctx context.Context, p Policy) error {
	next, err := a.left(p)
	if err != nil {
		return err
	}
	timer := time.NewTimer(next)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if next, err = a.left(p); err != nil {
			return err
		}
		timer.Reset(next)
	}
}

// left returns how long the attempt may go on if no byte moves, or why it may
// not.
func (a *Attempt) left(p Policy) (time.Duration, error) {
	now := time.Since(a.began)
	next := time.Duration(math.MaxInt64)
	if p.Stall > 0 {
		if next = time.Duration(a.moved.Load()) + p.Stall - now; next <= 0 {
			return 0, ErrStalled
		}
	}
	if p.Timeout > 0 {
		left := time.Duration(a.carried.Load()) + p.Timeout - now
		if left <= 0 {
			return 0, ErrTimeout
		}
		next = min(next, left)
	}
	return next, nil
}

// gaveUpError is what an attempt returned once it was given up. [errors.Is] does
// not look into it: a transport reports a context that ended, which must not be
// taken for the caller's.
type gaveUpError struct {
	cause error
	err   error
}

func (e *gaveUpError) Error() string { return e.cause.Error() + ": " + e.err.Error() }

// As finds what the attempt's error says of its own kind.
func (e *gaveUpError) As(target any) bool { return errors.As(e.err, target) }

// Unwrap matches [sluice.ErrSlowDown] too: an attempt that got nowhere is a sign
// of congestion.
func (e *gaveUpError) Unwrap() []error { return []error{e.cause, sluice.ErrSlowDown} }
