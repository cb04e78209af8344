package sluice

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// Errors to test for with [errors.Is].
var (
	// ErrClosed is returned by Write and ReadFrom after a Close that finished the file.
	ErrClosed = errors.New("sluice: writer is closed")
	// ErrAborted is in the error of every call after Abort, beside Abort's cause.
	ErrAborted = errors.New("sluice: aborted")
	// ErrTooLarge means that the stream passed MaxSize, or what the memory
	// limit or the store can carry.
	ErrTooLarge = errors.New("sluice: stream too large")
	// ErrSizeRequired means that the store plans the parts and Options.Size is missing.
	ErrSizeRequired = errors.New("sluice: the size must be known")
	// ErrShortStream means that the stream ended before Options.Size bytes.
	ErrShortStream = errors.New("sluice: stream shorter than its declared size")
	// ErrLongStream means that the stream passed Options.Size bytes.
	ErrLongStream = errors.New("sluice: stream longer than its declared size")
	// ErrSlowDown is what a backend's error matches when the store has refused
	// an attempt because it gets too many (429, 503). Reported by Part.Backoff
	// it makes uploads fewer.
	ErrSlowDown = errors.New("sluice: store asks to slow down")
	// ErrResumeMismatch means that the stream of a resumed upload is not the
	// one whose parts are stored: a part differs, the stream is shorter, or the
	// large file was started for another one, or its record is damaged. A stream
	// that was resumed with another PartSize, MemoryLimit or Concurrency before may
	// have been cut differently, and counts as another one then. What is stored
	// stays. Start a new upload, or set Options.RestartOnMismatch.
	ErrResumeMismatch = errors.New("sluice: unfinished large file does not match the stream")
	// ErrPoolBlocked means that a writer waited for memory of its Pool that
	// only writers hold to which nothing is written.
	ErrPoolBlocked = errors.New("sluice: memory is held by writers that nothing is written to")
	// ErrFinishUnknown means that the store may or may not have finished the
	// file: the answer was lost and could not be looked up. Nothing was
	// cancelled. Look for the file before uploading again.
	ErrFinishUnknown = errors.New("sluice: outcome of finish unknown")
	// ErrOptionIgnored means that the store took a file, or began one, and did not
	// do what an option asked for: encryption, a lock, metadata. The error's text
	// says which, and whether a file is stored without it.
	ErrOptionIgnored = errors.New("sluice: the store ignored an option")
	// ErrOptionUnverified means the same, but that the store could not be asked
	// whether it did.
	ErrOptionUnverified = errors.New("sluice: it is not known whether the store ignored an option")
	// ErrNoManifest means that the file is stored, whole, and [LargeFileWriter.File]
	// describes it, but storing the manifest that [Options].Manifest asked for
	// failed. If the outcome of that is unknown, the error's text says so, and the
	// error does not match ErrFinishUnknown, which is about the file. Nor does it
	// match ErrOptionIgnored or ErrOptionUnverified.
	ErrNoManifest = errors.New("sluice: the file is stored, storing its manifest failed")
	// ErrManifestMismatch means that a manifest is about another file than the one
	// of its name: one of the two was replaced without the other. The error's text
	// says which of them is newer.
	ErrManifestMismatch = errors.New("sluice: manifest does not match its file")
	// ErrLocked means that Object Lock or a legal hold keeps a file from being
	// removed.
	ErrLocked = errors.New("sluice: file is locked")
	// ErrLeftBehind means that a large file may be left unfinished whose id is
	// in no [Error].LargeFile: its start was sent, the answer was lost, and it
	// could be neither found nor cancelled. The error's text says what is known
	// of it.
	ErrLeftBehind = errors.New("sluice: a large file may be left unfinished")
)

// Error is what a failed upload or restore returns: what failed, and what is
// left behind. It unwraps to the cause.
type Error struct {
	// Op is "open", "resume", "read", "write", "buffer", "start", "upload",
	// "finish" or "manifest"; of a restore it is "open", "read", "verify" or "write".
	Op       string
	Name     string // of the file
	Part     int    // part number, 0 if the failure is not one part's
	Attempts int    // how often the part was tried

	// LargeFile is the id of the large file that still exists: kept, of unknown outcome, or not
	// cancelled because of Cleanup. "" if nothing is left.
	LargeFile string
	// Cleanup is why cancelling failed, nil if it did not. If the stream did
	// not match what is stored, it is why no new large file could be started
	// for the next run. Without a LargeFile it is how a start failed that may
	// have left one behind, where Err is another failure, which came first; it
	// matches ErrLeftBehind then.
	Cleanup error

	Err error

	unknown bool // the outcome of this stream is unknown
}

// Error says what failed, why, and what still exists.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sluice: ")
	b.WriteString(e.Op)
	if e.Part > 0 {
		b.WriteString(" part " + strconv.Itoa(e.Part) + " of")
	}
	b.WriteString(" " + strconv.Quote(e.Name))
	if e.Attempts > 1 {
		b.WriteString(" (" + strconv.Itoa(e.Attempts) + " attempts)")
	}
	b.WriteString(": " + strings.TrimPrefix(e.Err.Error(), "sluice: "))
	switch {
	case e.Cleanup != nil && e.LargeFile == "":
		b.WriteString("; " + strings.TrimPrefix(e.Cleanup.Error(), "sluice: "))
	case e.Cleanup != nil && e.Op == "resume":
		b.WriteString("; large file " + e.LargeFile + " is kept unfinished, starting a new one failed: " + e.Cleanup.Error())
	case e.Cleanup != nil:
		b.WriteString("; large file " + e.LargeFile + " still exists, cancelling it failed: " + e.Cleanup.Error())
	case e.LargeFile != "" && e.unknown:
		b.WriteString("; large file " + e.LargeFile + " may be finished or not: look before uploading again")
	case e.LargeFile != "":
		b.WriteString("; large file " + e.LargeFile + " is kept unfinished")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches [ErrLeftBehind] where Cleanup does. What else Cleanup matches is
// no cause of the failure.
func (e *Error) Is(target error) bool {
	return target == ErrLeftBehind && errors.Is(e.Cleanup, ErrLeftBehind)
}

// limitError is a text of its own that matches one of the package's errors.
type limitError struct {
	text string
	is   error
}

func (e *limitError) Error() string { return e.text }
func (e *limitError) Unwrap() error { return e.is }

// lifetime is the context of a writer or a reader, which ends with its first
// failure as the cause, or with the caller's context. Both outlive the call that
// made them, and io.Writer and io.Reader have no context, so it is kept.
type lifetime struct {
	parent context.Context // the caller's
	ctx    context.Context
	cancel context.CancelCauseFunc
	// cutOff is the first call that the caller's context has ended and that names
	// what the store had answered before.
	cutOff atomic.Pointer[Error]
}

func newLifetime(parent context.Context) *lifetime {
	l := &lifetime{parent: parent}
	l.ctx, l.cancel = context.WithCancelCause(parent)
	return l
}

// fail makes err the failure, unless there is one already.
func (l *lifetime) fail(err *Error) {
	l.cancel(&failed{l, err})
	if lastFailure(err.Err) != nil {
		l.cutOff.CompareAndSwap(nil, err)
	}
}

// failure returns the failure, or why the caller's context has ended. Its Err says
// how and its cause says why; both can be tested for.
func (l *lifetime) failure() (own *Error, callers error) {
	cause := context.Cause(l.ctx)
	if f, ok := cause.(*failed); ok && f.of == l {
		return f.err, nil
	}
	cause = foreign(cause)
	if ended := l.parent.Err(); ended != nil && !errors.Is(cause, ended) {
		cause = fmt.Errorf("%w: %w", ended, cause)
	}
	return nil, cause
}

// explain adds the last failure of the store to e, if that is the end of the
// caller's context.
func (l *lifetime) explain(e *Error) *Error {
	cutOff := l.cutOff.Load()
	if own, _ := l.failure(); own != nil || cutOff == nil {
		return e
	}
	explained := *e
	explained.Op, explained.Part, explained.Attempts = cutOff.Op, cutOff.Part, cutOff.Attempts
	explained.Err = fmt.Errorf("%w (last failure: %w)", e.Err, lastFailure(cutOff.Err))
	return &explained
}

// lastFailure is what a call that its context has ended met before, as the
// backends of this module tell it; nil if it met nothing.
func lastFailure(err error) error {
	var ended interface{ LastFailure() error }
	if errors.As(err, &ended) {
		return ended.LastFailure()
	}
	return nil
}

// failed is the cause of a context that ended by a failure of its own. Another
// stream's failure, which the caller's context may end with, is not mistaken for
// it.
type failed struct {
	of  *lifetime
	err *Error
}

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// foreign is a cause that came from outside, or the failure of the manifest. What
// became of another stream's file says nothing of this one, so of that only the
// words remain.
func foreign(cause error) error {
	for _, outcome := range []error{ErrFinishUnknown, ErrLeftBehind, ErrOptionIgnored, ErrOptionUnverified} {
		if errors.Is(cause, outcome) {
			return errors.New(cause.Error())
		}
	}
	return cause
}
