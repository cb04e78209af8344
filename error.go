package sluice

import (
	"errors"
	"strconv"
	"strings"
)

// Errors to test for with [errors.Is].
var (
	// ErrClosed is returned by Write and ReadFrom after a Close that finished the file.
	ErrClosed = errors.New("sluice: writer is closed")
	// ErrAborted is in the error of every call after Abort, beside Abort's cause.
	ErrAborted = errors.New("sluice: aborted")
	// ErrTooLarge means that the stream passed MaxSize, or what the memory limit or the store can carry.
	ErrTooLarge = errors.New("sluice: stream too large")
	// ErrSizeRequired means that the store plans the parts and Options.Size is missing.
	ErrSizeRequired = errors.New("sluice: the size must be known")
	// ErrShortStream means that the stream ended before Options.Size bytes.
	ErrShortStream = errors.New("sluice: stream shorter than its declared size")
	// ErrLongStream means that the stream passed Options.Size bytes.
	ErrLongStream = errors.New("sluice: stream longer than its declared size")
	// ErrSlowDown is what a backend's error matches when the store has refused an attempt because it
	// gets too many (429, 503). Reported by Part.Backoff it makes uploads fewer.
	ErrSlowDown = errors.New("sluice: store asks to slow down")
	// ErrFinishUnknown means that the store may or may not have finished the file: the answer was lost
	// and could not be looked up. Nothing was cancelled. Look for the file before uploading again.
	ErrFinishUnknown = errors.New("sluice: outcome of finish unknown")
	// ErrLeftBehind means that a large file may be left unfinished whose id is in no [Error].LargeFile: its start was
	// sent, the answer was lost, and it could be neither found nor cancelled. The error's text says what is known of it.
	ErrLeftBehind = errors.New("sluice: a large file may be left unfinished")
)

// Error is what a failed upload returns: what failed, and what is left behind. It unwraps to the cause.
type Error struct {
	Op       string // "open", "resume", "read", "write", "buffer", "start", "upload", "finish"
	Name     string // of the file
	Part     int    // part number, 0 if the failure is not one part's
	Attempts int    // how often the part was tried

	// LargeFile is the id of the large file that still exists: kept, of unknown outcome, or not
	// cancelled because of Cleanup. "" if nothing is left.
	LargeFile string
	// Cleanup is why cancelling failed, nil if it did not. Without a LargeFile it is how a start failed that may have
	// left one behind, where Err is another failure, which came first; it matches ErrLeftBehind then.
	Cleanup error

	Err error

	unknown bool // of this stream's outcome nobody knows
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

// Is matches [ErrLeftBehind] where Cleanup does. What else Cleanup matches is no cause of the failure.
func (e *Error) Is(target error) bool {
	return target == ErrLeftBehind && errors.Is(e.Cleanup, ErrLeftBehind)
}
