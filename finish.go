package sluice

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// This file ends streams: it finishes them, or cleans up.

// ending is what becomes of the stream.
type ending struct {
	ended   atomic.Bool // set by the goroutine that runs end
	outcome outcome     // as that goroutine knows it
	done    chan struct{}
	// What follows stands when done is closed.
	file   File
	result *Error // Close's: nil, or the first failure with what is left behind
}

// outcome is what is known about the call that makes the file visible.
type outcome int

const (
	open    outcome = iota // there is no file
	asked                  // the call that makes the file visible is under way
	settled                // file and result stand
)

// end ends the stream, once; a second call does nothing. It is called by the holder
// of the turn or, with a source still inside its Read, of the lent token: the
// stream has failed then.
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
	if w.outcome == settled && w.result == nil {
		w.cancelReplaced()
		if w.plan.manifest {
			w.storeManifest()
		}
	}
	if w.outcome != settled {
		w.result = w.cleanUp(*w.explain(w.failure()))
		w.outcome = settled
	}
}

// conclude makes the outcome known. It is deferred, so that no call waits for ever
// after a hook or a backend that panics, or ends its goroutine.
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
	if l := w.plan.limits; w.parts == 0 && l.MaxSingle > 0 && w.total <= l.MaxSingle && !l.ServerSizesParts {
		if w.covers(1) {
			w.sendWhole(p)
		}
		return
	}
	var pieces []*Part
	if w.part = nil; p != nil {
		pieces = w.split(p)
	}
	w.covers(w.parts + len(pieces))
	for _, w.part = range pieces {
		_ = w.handOver() // a failure is filed, and the piece dropped
	}
}

// split cuts the last part into pieces for the uploads that are idle, unless
// the store sizes the parts or wants equal ones, or has it already. Of a resumed
// stream the pieces are as large as an earlier run made them.
func (w *LargeFileWriter) split(p *Part) []*Part {
	l, page := w.plan.limits, int64(w.plan.settings.PageSize)
	if l.ServerSizesParts || l.EqualParts {
		return []*Part{p}
	}
	numbers := w.plan.schedule.maxParts - w.parts
	piece := w.plan.resumed.tailPiece(p, l, page, numbers)
	if piece == 0 {
		piece = tailPiece(p.Size, l.MinPart, page, w.pipeline.idleUploads(), numbers)
	}
	if piece >= p.Size {
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

// sendWhole stores the file in one call. A large file that was to be resumed is replaced by it.
func (w *LargeFileWriter) sendWhole(p *Part) {
	w.part = nil
	p.Number = 0
	w.plan.replaced = cmp.Or(w.plan.resumed, w.plan.replaced)
	w.outcome = asked
	w.settle(w.pipeline.uploadFile(w.ctx, p))
}

// settle records the result of the call that makes the file visible: the file, that
// its outcome is unknown, or that it is stored and not as it was asked for. If the
// call certainly failed, the outcome is open again: there is something to clean
// up.
func (w *LargeFileWriter) settle(f File, err *Error) {
	w.outcome = settled
	cause := context.Cause(w.ctx)
	switch {
	case err == nil:
		w.file = f
	case matches(err.Err, ErrFinishUnknown, cause):
		// Even if the stream was aborted meanwhile: the caller must know that the file may exist.
		err.LargeFile, err.unknown = w.pipeline.id(), true
		w.result = err
	case matches(err.Err, ErrOptionIgnored, cause), matches(err.Err, ErrOptionUnverified, cause):
		err.LargeFile = w.plan.replaced.id() // no failure cancels what was resumed
		w.result = err
	default:
		w.outcome = open
		w.fail(err)
	}
}

// cleanUp cancels or keeps the large file, on a context that outlives the
// caller's, and returns the failure with what is left behind.
func (w *LargeFileWriter) cleanUp(failure Error) *Error {
	id := w.pipeline.id()
	if failure.Op == "resume" && w.plan.restarts {
		return w.startAnew(failure)
	}
	if id == "" {
		if !errors.Is(failure.Err, ErrLeftBehind) {
			failure.Cleanup = w.leftBehind
		}
		if failure.Cleanup == nil {
			failure.LargeFile = w.plan.replaced.id() // which no failure cancels: it was resumed
		}
		return &failure
	}
	if w.keepOnFailure {
		failure.LargeFile = id
		return &failure
	}
	ctx, cancel := w.detached()
	defer cancel()
	if err := w.pipeline.store.large.Cancel(ctx); err != nil {
		failure.LargeFile, failure.Cleanup = id, err
	}
	return &failure
}

// detached returns a context for cleaning up. It outlives the caller's, and ends
// after cleanupTimeout.
func (w *LargeFileWriter) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.parent), w.cleanupTimeout)
}

// matches reports whether err itself matches what is asked for, and not merely the
// cause that it was given by a context that ended: that may speak of another
// stream.
func matches(err, what, cause error) bool {
	if err == nil || err == cause {
		return false
	}
	if is, ok := err.(interface{ Is(error) bool }); err == what || ok && is.Is(what) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return matches(e.Unwrap(), what, cause)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if matches(err, what, cause) {
				return true
			}
		}
	}
	return false
}

func (u *pipeline) uploadFile(ctx context.Context, p *Part) (File, *Error) {
	p.refs.Store(1)
	p.queue = nil // there are no others
	defer u.drop(p)
	u.meter.network.begin(u.meter)
	defer u.meter.network.end(u.meter)
	u.meter.partsInFlight.Add(1)
	defer u.meter.partsInFlight.Add(-1)
	spec := u.plan.spec
	spec.Size = p.Size
	if err := newHashers(u.plan.limits.PartDigests, u.plan.limits.WholeDigests, u.whole.algorithms()).sum(p); err != nil {
		return File{}, u.error("upload", p, err)
	}
	u.meter.hashed.Add(p.Size)
	u.meter.hooks.PartStarted(p.event())
	f, err := u.backend.UploadFile(ctx, spec, p)
	if err == nil {
		err = agreeFile(f, p.Size, p.Digests)
	}
	if err == nil {
		u.meter.acknowledge(p)
	}
	u.meter.hooks.PartDone(p.event(), err)
	if err != nil {
		return File{}, u.error("upload", p, err)
	}
	f.Digests = merge(f.Digests, p.Digests, u.whole)
	f.Name, f.Size, f.Parts = spec.Name, p.Size, 0
	if u.plan.manifest {
		p.Number = 1
		u.store.receipts.file(p, "")
	}
	return f, nil
}

// finish makes the file visible. It is called after wait.
func (u *pipeline) finish(ctx context.Context, parts int, total int64) (File, *Error) {
	if err := u.store.receipts.cover(parts, total); err != nil {
		return File{}, u.error("finish", nil, err)
	}
	sums := u.whole.sums()
	f, err := u.store.large.Finish(ctx, u.store.receipts.list, sums)
	if err == nil {
		err = agreeFile(f, total, sums)
	}
	if err != nil {
		return File{}, u.error("finish", nil, err)
	}
	f.Digests = merge(f.Digests, sums, u.whole)
	f.Name, f.Size, f.Parts = u.plan.spec.Name, total, len(u.store.receipts.list)
	return f, nil
}

// agree compares what the store said it did with size bytes of these digests.
// What it did not say is not compared.
func agree(did string, said, size int64, digests, own Digests) error {
	if said != 0 && said != size {
		return fmt.Errorf("the store says it %s %d bytes, %d were sent", did, said, size)
	}
	for _, d := range digests {
		if sum := own.Get(d.Name); sum != nil && d.Sum != nil && !bytes.Equal(sum, d.Sum) {
			return fmt.Errorf("the store says it %s bytes of %s %x, those sent have %x", did, d.Name, d.Sum, sum)
		}
	}
	return nil
}

// agreeFile is agree for a file that is visible already, which the error names.
// It may be whole all the same, so a difference leaves the outcome unknown.
func agreeFile(f File, size int64, own Digests) error {
	if err := agree(fmt.Sprintf("has finished file %s, of", f.ID), f.Size, size, f.Digests, own); err != nil {
		return fmt.Errorf("%w: %w", ErrFinishUnknown, err)
	}
	return nil
}
