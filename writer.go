package sluice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// LargeFileWriter streams into one file of a [Backend]. It is an
// [io.WriteCloser] and an [io.ReaderFrom].
//
// Write and ReadFrom block while memory is full, and return when the upload
// fails or ends otherwise. Close finishes the file; Abort, or the end of the
// context given to New, gives it up. The first failure is the one that every
// later call returns. One of Close and Abort must be called. Close finishes
// whatever was written, so return before it if the source failed:
//
//	defer w.Abort(nil) // does nothing after Close
//	if _, err := io.Copy(w, source); err != nil {
//		return err // nothing is finished
//	}
//	return w.Close()
//
// All methods may be called concurrently. Write, ReadFrom and Close take turns.
type LargeFileWriter struct {
	plan           *plan
	pipeline       *pipeline
	account        *account
	meter          *meter
	keepOnFailure  bool
	cleanupTimeout time.Duration

	*lifetime

	turn chan struct{} // capacity 1: the call that has put its token in has the turn
	// capacity 1: a token while ReadFrom, having the turn, is inside its
	// source's Read
	lent chan struct{}

	// leftBehind is the failure of a start that may have left a large file, nil
	// for most. It is written by the goroutine that opens the large file, and
	// read once that has ended.
	leftBehind error

	filling
	ending
}

var (
	_ io.WriteCloser = (*LargeFileWriter)(nil)
	_ io.ReaderFrom  = (*LargeFileWriter)(nil)
)

// New returns a writer that streams into the file of that name. It checks the
// name and the options against the store's limits. It sends nothing, except that
// with [Options].Resume it asks the store what it holds. It starts no goroutine,
// unless ctx is of a type from outside package context, which that package has to
// watch. When ctx ends, the upload fails with its cause; cleaning up goes on
// without it. opts may be nil.
func New(ctx context.Context, b Backend, name string, opts *Options) (*LargeFileWriter, error) {
	if opts == nil {
		opts = new(Options)
	}
	p, err := resolve(b, name, opts)
	if err != nil {
		return nil, &Error{Op: "open", Name: name, Err: err}
	}
	m := newMeter(opts.Hooks)
	if err := p.resume(ctx, b, opts, m.hooks); err != nil {
		return nil, &Error{Op: "resume", Name: name, LargeFile: p.resumed.id(), Err: err}
	}
	w := &LargeFileWriter{
		plan:           p,
		meter:          m,
		keepOnFailure:  opts.KeepOnFailure || opts.Resume || opts.ResumeID != "",
		cleanupTimeout: cmp.Or(opts.CleanupTimeout, DefaultCleanupTimeout),
		lifetime:       newLifetime(ctx),
		turn:           make(chan struct{}, 1),
		lent:           make(chan struct{}, 1),
		ending:         ending{done: make(chan struct{})},
	}
	w.account = p.pool.account(w.waiting, w.activity)
	w.pipeline = newPipeline(w.ctx, b, p, w.account, w.meter, opts.Digests, w.fail)
	return w, nil
}

// Settings returns what New made of the options.
func (w *LargeFileWriter) Settings() Settings { return w.plan.settings }

// Stats returns a snapshot of the stream. It takes no lock.
func (w *LargeFileWriter) Stats() Stats {
	s := w.meter.snapshot()
	s.Memory = w.account.granted.Load() * int64(w.plan.settings.PageSize)
	s.MaxStreamSize = w.plan.settings.MaxStreamSize
	s.Concurrency = w.pipeline.queue.allowed()
	return s
}

// Done returns a channel that is closed when the stream has failed or has
// ended. A caller whose source may be silent for long learns by it that writing
// has no use any more.
func (w *LargeFileWriter) Done() <-chan struct{} { return w.ctx.Done() }

// File returns the finished file. It is zero unless Close has returned nil, or an
// error that matches [ErrNoManifest].
func (w *LargeFileWriter) File() File {
	select {
	case <-w.done:
		return w.file
	default:
		return File{}
	}
}

// Write takes p into the stream. It blocks while memory is full. A number short
// of len(p) comes with the failure that every later call returns too.
func (w *LargeFileWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	defer w.leave()
	return w.write(p)
}

// ReadFrom appends all that r yields to the stream, reading straight into its
// pages. If r fails, the stream has failed: Close does not finish it and
// returns the error. [io.Copy] calls ReadFrom unless r has a WriteTo method;
// then the writer does not see r fail.
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

// Close sends what is left, waits for the uploads and finishes the file. nil
// means that the file exists, whole. After any failure Close finishes nothing:
// it cancels the large file, or keeps it, as KeepOnFailure says, and returns
// the first failure. A second Close returns what the first did.
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

// Abort gives the stream up: calls under way return, nothing is finished, and
// the large file is cancelled or kept as KeepOnFailure says. cause, if not nil,
// is in the error that every other call then returns, beside [ErrAborted].
// Abort waits until all this is done, but not for a source that hangs in Read.
//
// If Finish is already under way Abort waits for its outcome, which may be that
// the file exists. After Close has returned Abort does nothing, so that it can
// be deferred.
func (w *LargeFileWriter) Abort(cause error) {
	err := ErrAborted
	if cause != nil {
		err = fmt.Errorf("%w: %w", ErrAborted, foreign(cause))
	}
	w.fail(w.error("upload", err))
	w.takeOver()
	<-w.done
}

// takeOver ends a failed stream unless another call does. A ReadFrom inside its
// source's Read leaves all but the page being read into to the call that takes the
// lent token.
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
	if err.Op == "start" && matches(err.Err, ErrLeftBehind, context.Cause(w.ctx)) {
		w.leftBehind = err.Err
	}
	w.lifetime.fail(err)
	return w.err()
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
	if context.Cause(w.ctx) == errStreamEnded {
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
	own, cause := w.lifetime.failure()
	if own != nil {
		return own
	}
	return w.error("upload", cause)
}

func (w *LargeFileWriter) error(op string, err error) *Error {
	return &Error{Op: op, Name: w.plan.spec.Name, Err: err}
}

// activity is what the pool asks while another writer waits for memory.
func (w *LargeFileWriter) activity() (accepted int64, busy bool) {
	sending := w.ctx.Err() == nil && w.pipeline.outstanding.Load() > 0
	return w.meter.accepted.Load(), sending || len(w.turn) > 0 && !w.account.stalled.Load()
}

func (w *LargeFileWriter) noMemory(why error) error {
	if errors.Is(why, ErrPoolBlocked) {
		return w.fail(w.error("write", why))
	}
	return w.err()
}

// waiting is told by the pool when a wait for memory begins and ends. If all uploads are busy it is
// the network that memory waits for.
func (w *LargeFileWriter) waiting(begins bool) {
	if !begins {
		w.blocked.end(w.meter)
		return
	}
	w.blocked = &w.meter.memory
	if w.pipeline.queue.busy() {
		w.blocked = &w.meter.network
	}
	w.blocked.begin(w.meter)
}

// Upload streams what fill writes into the file of that name: the whole life of
// a [LargeFileWriter] in one call. If fill returns nil the file is finished; if
// it returns an error or panics, nothing is. The error that comes first is
// returned, wrapped in an [*Error]. opts may be nil.
//
// The writer that fill gets is also an [io.ReaderFrom], so [io.Copy] reads
// straight into the stream's pages, unless the source has a WriteTo. fill must
// return the error of every source and compressor: the writer need not have
// seen it. It is not an [io.Closer]: a compressor put on top is closed by fill,
// the stream by Upload. [Hooks] report how parts do meanwhile; for Stats or
// Settings while the stream runs take a writer from [New].
func Upload(ctx context.Context, b Backend, name string, opts *Options, fill func(io.Writer) error) (File, error) {
	w, err := New(ctx, b, name, opts)
	if err != nil {
		return File{}, err
	}
	defer w.Abort(errFillPanicked)
	if err := fill(stream{w}); err != nil {
		w.Abort(err)
	}
	err = w.Close()
	return w.File(), err
}

// errFillPanicked is what a stream is aborted with when fill does not return.
var errFillPanicked = errors.New("function did not return")

type stream struct{ w *LargeFileWriter }

func (s stream) Write(p []byte) (int, error)               { return s.w.Write(p) }
func (s stream) ReadFrom(r io.Reader) (n int64, err error) { return s.w.ReadFrom(r) }
