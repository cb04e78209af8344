package retry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Why an attempt was given up. Both are worth another attempt; for a server they look like a client that
// hung up.
var (
	// ErrTimeout means that an attempt passed its deadline.
	ErrTimeout = errors.New("attempt took too long")
	// ErrStalled means that no byte moved for the stall limit.
	ErrStalled = errors.New("connection stalled: no byte moved")
)

// GaveUp tells whether an attempt failed with err because it was given up here.
func GaveUp(err error) bool { return errors.Is(err, ErrTimeout) || errors.Is(err, ErrStalled) }

// Attempt is one try of a call. Its methods may be called concurrently.
type Attempt struct {
	began time.Time
	moved atomic.Int64 // time of the last moved byte, since began
	sent  atomic.Bool

	sending atomic.Bool
}

// Moved reports that bytes went out or came in.
func (a *Attempt) Moved() { a.moved.Store(int64(time.Since(a.began))) }

// Sent reports that the whole request body was handed to the transport.
func (a *Attempt) Sent() { a.sent.Store(true) }

// Sending reports that the last bytes of the request body are about to be handed to the transport.
func (a *Attempt) Sending() { a.sending.Store(true) }

// MayBeSent tells whether the store may have the whole request body, though nobody has said so yet: an answer can
// overtake the word that the last bytes are out.
func (a *Attempt) MayBeSent() bool { return a.sending.Load() || a.sent.Load() }

// WasSent tells whether the store may have the whole request body.
func (a *Attempt) WasSent() bool { return a.sent.Load() }

// Once runs try once, under the deadline for size bytes and the stall limit. An error that these caused matches
// [ErrTimeout] or [ErrStalled], and not the context that ended.
func (p Policy) Once(ctx context.Context, size int64, try func(context.Context, *Attempt) error) error {
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &Attempt{began: time.Now()}
	if limit := p.Deadline(size); limit > 0 {
		timer := time.AfterFunc(limit, func() { cancel(ErrTimeout) })
		defer timer.Stop()
	}
	if p.Stall > 0 {
		watch.Go(func() { a.watch(ctx, p.Stall, func() { cancel(ErrStalled) }) })
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

// watch calls stalled when nothing moved for the limit. The timer is set again only when it fires, so that
// a moved byte costs one store. It returns when ctx ends.
func (a *Attempt) watch(ctx context.Context, limit time.Duration, stalled func()) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		idle := time.Since(a.began) - time.Duration(a.moved.Load())
		if idle >= limit {
			stalled()
			return
		}
		timer.Reset(limit - idle)
	}
}

// gaveUpError is what an attempt returned once it was given up. It is not unwrapped: a transport reports a
// context that ended, which must not be taken for the caller's.
type gaveUpError struct {
	cause error
	err   error
}

func (e *gaveUpError) Error() string { return e.cause.Error() + ": " + e.err.Error() }

func (e *gaveUpError) Unwrap() error { return e.cause }
