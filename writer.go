package sluice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// LargeFileWriter streams into one file of a [Backend]. It is an [io.WriteCloser] and an [io.ReaderFrom].
//
// Write and ReadFrom block while memory is full, and return when the upload fails or ends otherwise.
// Close finishes the file; Abort, or the end of the context given to New, gives it up. The first
// failure is the one that every later call returns. One of Close and Abort must be called:
//
//	defer w.Abort(nil)
//	// … write …
//	return w.Close()
//
// All methods may be called concurrently. Write, ReadFrom and Close take turns.
type LargeFileWriter struct {
	plan           *plan
	pipeline       *pipeline
	account        *account
	meter          *meter
	onFailure      OnFailure
	cleanupTimeout time.Duration

	// parent is the caller's; ctx ends with the first failure as its cause. A writer outlives the call
	// that made it and io.Writer has no context, so they are kept here.
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc

	turn chan struct{} // capacity 1: who has put its token in has the turn
	lent chan struct{} // capacity 1: a token while ReadFrom, having the turn, is inside its source's Read

	// leftBehind is the failure of a start that may have left a large file, nil for most. It is written by the
	// goroutine that opens the large file, and read once that has ended.
	leftBehind error

	filling
	ending
}

var (
	_ io.WriteCloser = (*LargeFileWriter)(nil)
	_ io.ReaderFrom  = (*LargeFileWriter)(nil)
)

// New returns a writer that streams into the file of that name. It checks the name and the options
// against the store's limits, starts no goroutine (unless ctx is of a type from outside package context,
// which that package has to watch) and sends nothing (but with [Options].Resume it asks the
// store what it holds). When ctx ends, the upload fails with
// its cause; cleaning up goes on without it. opts may be nil.
func New(ctx context.Context, b Backend, name string, opts *Options) (*LargeFileWriter, error) {
	if opts == nil {
		opts = new(Options)
	}
	p, err := resolve(b, name, opts)
	if err != nil {
		return nil, &Error{Op: "open", Name: name, Err: err}
	}
	if err := p.resume(ctx, b, opts); err != nil {
		return nil, &Error{Op: "resume", Name: name, Err: err}
	}
	w := &LargeFileWriter{
		plan:           p,
		meter:          newMeter(opts.Hooks),
		onFailure:      opts.OnFailure,
		cleanupTimeout: cmp.Or(opts.CleanupTimeout, DefaultCleanupTimeout),
		parent:         ctx,
		turn:           make(chan struct{}, 1),
		lent:           make(chan struct{}, 1),
		ending:         ending{done: make(chan struct{})},
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.account = p.pool.account(w.waiting)
	w.pipeline = newPipeline(w.ctx, b, p, w.account, w.meter, opts.Digests, w.fail)
	return w, nil
}

// Settings returns what New made of the options.
func (w *LargeFileWriter) Settings() Settings { return w.plan.settings }

// Stats returns a snapshot of the stream. It takes no lock.
func (w *LargeFileWriter) Stats() Stats {
	s := w.meter.snapshot()
	s.Memory = w.account.granted.Load() * int64(w.plan.settings.PageSize)
	s.Reach = w.plan.settings.Reach
	s.Concurrency = w.pipeline.uploads.allowed()
	return s
}

// Done returns a channel that is closed when the stream has failed or has ended. A caller whose source
// may be silent for long learns by it that writing has no use any more.
func (w *LargeFileWriter) Done() <-chan struct{} { return w.ctx.Done() }

// File returns the finished file. It is zero unless Close has returned nil.
func (w *LargeFileWriter) File() File {
	select {
	case <-w.done:
		return w.file
	default:
		return File{}
	}
}

// Write takes p into the stream. It blocks while memory is full. A number short of len(p) comes with
// the failure that every later call returns too.
func (w *LargeFileWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	defer w.leave()
	return w.write(p)
}

// ReadFrom takes all that r yields into the stream, reading straight into its pages. If r fails, the
// stream has failed: Close will not finish it and returns the error.
func (w *LargeFileWriter) ReadFrom(r io.Reader) (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	defer w.leave()
	var total int64
	for idle := 0; ; {
		n, err := w.readOnce(r)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if n > 0 {
			idle = 0
		} else if idle++; idle == maxIdleReads {
			return total, w.fail(w.error("read", io.ErrNoProgress))
		}
	}
}

// maxIdleReads is how many reads in a row may bring neither a byte nor an error.
const maxIdleReads = 100

// Close sends what is left, waits for the uploads and finishes the file. nil means that the file exists,
// whole. After any failure Close finishes nothing: it cancels the large file, or keeps it, as OnFailure
// says, and returns the first failure. A second Close returns what the first did.
//
// An error that matches ErrFinishUnknown means that the file may exist; nothing was cancelled.
func (w *LargeFileWriter) Close() error {
	select {
	case w.turn <- struct{}{}:
		defer w.leave()
		w.end(false)
	case <-w.done:
	case <-w.ctx.Done(): // perhaps a ReadFrom that hangs has the turn
		w.takeOver()
	}
	<-w.done
	if w.result != nil {
		return w.result
	}
	return nil
}

// Abort gives the stream up: calls under way return, nothing is finished, and the large file is cancelled
// or kept as OnFailure says. cause, if not nil, is in the error that every other call then returns,
// beside [ErrAborted]. Abort waits until all this is done, but not for a source that hangs in Read.
//
// If Finish is already under way Abort waits for its outcome, which may be that the file exists. After
// Close has returned Abort does nothing, so that it can be deferred.
func (w *LargeFileWriter) Abort(cause error) {
	err := ErrAborted
	if cause != nil {
		err = fmt.Errorf("%w: %w", ErrAborted, foreign(cause))
	}
	w.fail(w.error("upload", err))
	w.takeOver()
	<-w.done
}

// takeOver ends a failed stream unless somebody else does. A ReadFrom inside its source's Read leaves all
// but the page being read into to whoever takes the lent token.
func (w *LargeFileWriter) takeOver() {
	select {
	case w.turn <- struct{}{}:
		defer w.leave()
		w.end(false)
	case <-w.lent:
		w.end(true)
	case <-w.done:
	}
}

// begin takes the turn of a call that adds to the stream.
func (w *LargeFileWriter) begin() error {
	select {
	case w.turn <- struct{}{}:
	case <-w.ctx.Done():
		return w.err()
	}
	if err := w.err(); err != nil {
		w.leave()
		return err
	}
	return nil
}

func (w *LargeFileWriter) leave() { <-w.turn }

// fail makes err the stream's failure unless it has one already, and returns the one it has.
func (w *LargeFileWriter) fail(err *Error) error {
	if err.Op == "start" && says(err.Err, ErrLeftBehind, context.Cause(w.ctx)) {
		w.leftBehind = err.Err
	}
	w.cancel(&failed{w, err})
	return w.err()
}

// failed is the cause of a writer's context that ended by the writer's own failure. Another stream's failure,
// which the caller's context may end with, is not mistaken for it.
type failed struct {
	w   *LargeFileWriter
	err *Error
}

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// foreign is a cause that came from outside. That another stream's outcome is unknown, or that it left something
// behind, says nothing of this one, so of that only the words remain.
func foreign(cause error) error {
	if errors.Is(cause, ErrFinishUnknown) || errors.Is(cause, ErrLeftBehind) {
		return errors.New(cause.Error())
	}
	return cause
}

// err is the stream's failure, ErrClosed once it is finished, nil while it lives.
func (w *LargeFileWriter) err() error {
	if f := w.failure(); f != nil {
		return f
	}
	return nil
}

func (w *LargeFileWriter) failure() *Error {
	if w.ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(w.ctx)
	if cause == errStreamEnded {
		<-w.done // is closed next
	}
	select {
	case <-w.done:
		if w.result != nil {
			return w.result
		}
		return w.error("write", ErrClosed)
	default:
	}
	if f, ok := cause.(*failed); ok && f.w == w {
		return f.err
	}
	// The caller's context ended. Its Err says how and its cause says why; both can be tested for.
	cause = foreign(cause)
	if ended := w.parent.Err(); ended != nil && !errors.Is(cause, ended) {
		cause = fmt.Errorf("%w: %w", ended, cause)
	}
	return w.error("upload", cause)
}

func (w *LargeFileWriter) error(op string, err error) *Error {
	return &Error{Op: op, Name: w.plan.spec.Name, Err: err}
}

// waiting is told by the pool when a wait for memory begins and ends. If all uploads are busy it is
// the network that memory waits for.
func (w *LargeFileWriter) waiting(begins bool) {
	if !begins {
		w.blocked.end(w.meter)
		return
	}
	w.blocked = &w.meter.memory
	if w.pipeline.uploads.busy() {
		w.blocked = &w.meter.network
	}
	w.blocked.begin(w.meter)
}
