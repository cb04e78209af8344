package sluice

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// This file ends streams: it finishes them, or cleans up.

// ending is what becomes of the stream.
type ending struct {
	ended   atomic.Bool // somebody has taken it upon himself to end the stream
	outcome outcome     // that one's
	done    chan struct{}
	// What follows stands when done is closed.
	file   File
	result *Error // Close's: nil, or the first failure with what is left behind
}

// outcome is whether anybody knows what has become of the stream.
type outcome int

const (
	open    outcome = iota // there is no file
	asked                  // the call that makes the file visible is under way
	settled                // file and result stand
)

// end ends the stream, once; whoever comes second waits for done. It is called by the holder of the
// turn or, with a source still inside its Read, of the lent token: the stream has failed then.
func (w *LargeFileWriter) end(reading bool) {
	if !w.ended.CompareAndSwap(false, true) {
		return
	}
	defer w.conclude()
	if w.err() == nil {
		w.sendRest()
	}
	w.discard(reading)
	w.meter.network.begin(w.meter)
	defer w.meter.network.end(w.meter)
	w.pipeline.wait()
	if w.outcome != settled && w.err() == nil {
		// The point of no return: from here the store says whether the file exists.
		w.outcome = asked
		w.settle(w.pipeline.finish(w.ctx, w.parts, w.total))
	}
	if w.outcome != settled {
		w.result = w.cleanUp(*w.failure())
		w.outcome = settled
	}
}

// conclude makes the outcome known. It is deferred, so that a hook or a backend that panics, or ends its
// goroutine, leaves nobody waiting.
func (w *LargeFileWriter) conclude() {
	if w.outcome == asked {
		w.settle(File{}, w.error("finish", fmt.Errorf("%w: %w", ErrFinishUnknown, errNotReturned)))
	}
	if w.outcome == open {
		w.fail(w.error("upload", errNotReturned))
		w.discard(false)
		w.pipeline.wait()
		failure := *w.failure()
		if failure.LargeFile = w.pipeline.id(); failure.LargeFile != "" {
			failure.Cleanup = errNotReturned
		}
		w.result = &failure
	}
	if w.plan.ownPool {
		_ = w.plan.pool.Close() // a temporary file, of which nothing is needed any more
	}
	w.cancel(errStreamEnded)
	w.meter.end()
	close(w.done)
}

var (
	errNotReturned = errors.New("a hook or the backend panicked, or ended its goroutine")
	errStreamEnded = errors.New("stream has ended")
)

// sendRest hands over the last part, or stores a stream of at most one part in one call.
func (w *LargeFileWriter) sendRest() {
	declared := w.plan.spec.Size
	if declared != UnknownSize && w.total != declared {
		w.fail(w.error("write", &limitError{fmt.Sprintf("stream ended after %d bytes, its declared size is %d",
			w.total, declared), ErrShortStream}))
		return
	}
	p := w.part
	if p == nil && w.parts == 0 { // an empty stream
		p = w.pipeline.newPart()
		p.Number = 1
	}
	if l := w.plan.limits; w.parts == 0 && l.MaxSingle > 0 && w.total <= l.MaxSingle && !l.PlansParts {
		w.sendWhole(p)
		return
	}
	var pieces []*Part
	if w.part = nil; p != nil {
		pieces = w.split(p)
	}
	if err := w.plan.resumed.covers(w.parts + len(pieces)); err != nil {
		w.fail(w.error("resume", err))
	}
	for _, w.part = range pieces {
		_ = w.handOver() // a failure is filed, and the piece dropped
	}
}

// split cuts the last part into pieces for the uploads that are idle, unless the store planned it, or has
// it already. Of a resumed stream the pieces are as large as an earlier run made them.
func (w *LargeFileWriter) split(p *Part) []*Part {
	l, page := w.plan.limits, int64(w.plan.settings.PageSize)
	numbers := w.plan.schedule.maxParts - w.parts
	piece := w.plan.resumed.tailPiece(p, l.MinPart, page, numbers)
	if piece == 0 {
		piece = tailPiece(p.Size, l.MinPart, page, w.pipeline.idleUploads(), numbers)
	}
	if piece >= p.Size || l.PlansParts {
		return []*Part{p}
	}
	var pieces []*Part
	n := w.plan.pool.pagesFor(piece)
	for off := int64(0); off < p.Size; off += piece {
		q := w.pipeline.newPart()
		q.Number, q.Offset, q.Size = p.Number+len(pieces), p.Offset+off, min(piece, p.Size-off)
		k := min(n, len(p.pages))
		if off+piece >= p.Size {
			k = len(p.pages) // one more than is needed, if ReadFrom had it ready
		}
		q.pages, p.pages = append(q.pages, p.pages[:k]...), p.pages[k:]
		q.claimed = k
		p.claimed -= k
		pieces = append(pieces, q)
	}
	pieces[len(pieces)-1].claimed += p.claimed // pages that the part did not need
	return pieces
}

// sendWhole stores the file in one call. A large file that was to be resumed has no use once that is done. If it
// cannot be cancelled it stays, for Unfinished to list: the file itself is there.
func (w *LargeFileWriter) sendWhole(p *Part) {
	w.part = nil
	p.Number = 0
	w.outcome = asked
	w.settle(w.pipeline.uploadFile(w.ctx, p))
	if w.outcome == settled && w.result == nil && w.pipeline.file.large != nil {
		ctx, cancel := w.detached()
		defer cancel()
		_ = w.pipeline.file.large.Cancel(ctx)
	}
}

// settle files what came of the call that makes the file visible: the file, or that nobody knows. If the call certainly
// failed, the outcome is open again: there is something to clean up.
func (w *LargeFileWriter) settle(f File, err *Error) {
	w.outcome = settled
	switch {
	case err == nil:
		w.file = f
	case says(err.Err, ErrFinishUnknown, context.Cause(w.ctx)):
		// Even if the stream was aborted meanwhile: the caller must know that the file may exist.
		err.LargeFile, err.unknown = w.pipeline.id(), true
		w.result = err
	default:
		w.outcome = open
		w.fail(err)
	}
}

// cleanUp cancels or keeps the large file, on a context that outlives the caller's, and returns the failure
// with what is left behind.
func (w *LargeFileWriter) cleanUp(failure Error) *Error {
	id := w.pipeline.id()
	if id == "" {
		if failure.Op != "start" {
			failure.Cleanup = w.leftBehind
		}
		return &failure
	}
	if w.onFailure == Keep {
		failure.LargeFile = id
		return &failure
	}
	ctx, cancel := w.detached()
	defer cancel()
	if err := w.pipeline.file.large.Cancel(ctx); err != nil {
		failure.LargeFile, failure.Cleanup = id, err
	}
	return &failure
}

// detached is a context for cleaning up: it outlives the caller's, and ends by itself.
func (w *LargeFileWriter) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.parent), w.cleanupTimeout)
}

// says reports whether err itself matches what is asked for, and not merely the cause that it was given by a
// context that ended: that may speak of another stream.
func says(err, what, cause error) bool {
	if err == nil || err == cause {
		return false
	}
	if err == what {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return says(e.Unwrap(), what, cause)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if says(err, what, cause) {
				return true
			}
		}
	}
	return false
}
