package faults

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Kind is a method of a backend, a large file or a source that does I/O.
type Kind int

// The kinds of calls. Limits, Check and Info do no I/O: they pass through and are not counted.
const (
	UploadFile Kind = iota + 1
	StartLargeFile
	ResumeLargeFile
	Unfinished
	UploadPart
	Finish
	Cancel
	Stat
	ReadRange
	List
	Remove
)

// String is the method's name.
func (k Kind) String() string {
	names := [...]string{
		UploadFile: "UploadFile", StartLargeFile: "StartLargeFile", ResumeLargeFile: "ResumeLargeFile",
		Unfinished: "Unfinished", UploadPart: "UploadPart", Finish: "Finish", Cancel: "Cancel",
		Stat: "Stat", ReadRange: "ReadRange", List: "List", Remove: "Remove",
	}
	if k < UploadFile || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Op is one call, as the conditions see it before it is made.
type Op struct {
	Index     int // from 1, of all calls through one [Backend]
	Kind      Kind
	Name      string // of the file; the prefix of Unfinished and List
	LargeFile string // its id; "" where there is none yet
	Part      int    // part number of UploadPart, else 0
}

// String names the call for messages.
func (o Op) String() string {
	s := fmt.Sprintf("%d %v %q", o.Index, o.Kind, o.Name)
	if o.Part != 0 {
		s += fmt.Sprintf(" part %d", o.Part)
	}
	return s
}

// Call is an Op in the record that [Backend.Calls] returns. Began and Ended
// count on one clock that ticks at every beginning and every end, so two calls
// overlapped if each began before the other ended.
type Call struct {
	Op
	Began    int   // from 1
	Ended    int   // 0 while the call runs
	Err      error // what the caller got
	Injected bool  // an injector fired, be it a mere delay
}

// Condition tells whether an injector fires. It may count, and is called by one
// goroutine at a time.
type Condition func(Op) bool

// Nth holds for the n-th Op that it is asked about, from 1. After other
// conditions it is asked about those for which they hold. It counts for as long
// as it lives, so every injector needs one of its own.
func Nth(n int) Condition {
	var asked atomic.Int64
	return func(Op) bool { return asked.Add(1) == int64(n) }
}

// From holds for the n-th Op that it is asked about and all later ones: the
// store is gone, and stays so.
func From(n int) Condition {
	var asked atomic.Int64
	return func(Op) bool { return asked.Add(1) >= int64(n) }
}

// OnKind holds for calls of these kinds.
func OnKind(kinds ...Kind) Condition {
	return func(o Op) bool { return slices.Contains(kinds, o.Kind) }
}

// OnPart holds for UploadPart calls of these part numbers.
func OnPart(numbers ...int) Condition {
	return func(o Op) bool { return o.Kind == UploadPart && slices.Contains(numbers, o.Part) }
}

// OnName holds for calls about the file of that name.
func OnName(name string) Condition {
	return func(o Op) bool { return o.Kind != Unfinished && o.Name == name }
}

// Not holds where the condition does not.
func Not(c Condition) Condition {
	return func(o Op) bool { return !c(o) }
}
