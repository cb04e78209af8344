package sluice

import "time"

// Hooks are called as a stream goes on, in the manner of net/http/httptrace; nil ones are skipped. They
// run on the goroutine that does the work, so they should return soon, and part hooks run concurrently.
// A hook must not call the writer's Close or Abort, which wait for it. One that ends its goroutine fails the stream.
type Hooks struct {
	// LargeFileStarted is called once the store has opened a large file, before any part is sent; of one that is resumed,
	// in New. A program that wants to resume, or to clean up after a crash, writes down the ID.
	LargeFileStarted func(LargeFileInfo)
	// PartStarted is called when a part is hashed and is about to be sent. A part that the store has from an earlier run is
	// started and done without an attempt.
	PartStarted func(PartEvent)
	// PartRetrying is called when an attempt failed with err and another follows, after wait at least.
	PartRetrying func(p PartEvent, err error, wait time.Duration)
	// PartHedged is called when a part whose upload takes far longer than usual is about to be sent a second time, beside
	// the first; see [Limits].Repeatable.
	PartHedged func(PartEvent)
	// PartDone is called when the store has acknowledged a part, or when it failed for good.
	PartDone func(p PartEvent, err error)
}

// PartEvent says which part a hook is about.
type PartEvent struct {
	Number  int   // from 1; 0 for a file stored in one call
	Offset  int64 // of its first byte in the stream
	Size    int64 // bytes
	Attempt int   // attempts made so far
}

func (p *Part) event() PartEvent {
	return PartEvent{Number: p.Number, Offset: p.Offset, Size: p.Size, Attempt: p.tried.number()}
}

func (h *Hooks) largeFileStarted(i LargeFileInfo) {
	if h.LargeFileStarted != nil {
		h.LargeFileStarted(i)
	}
}

func (h *Hooks) partStarted(p *Part) {
	if h.PartStarted != nil {
		h.PartStarted(p.event())
	}
}

func (h *Hooks) partRetrying(p *Part, err error, wait time.Duration) {
	if h.PartRetrying != nil {
		h.PartRetrying(p.event(), err, wait)
	}
}

func (h *Hooks) partHedged(p *Part) {
	if h.PartHedged != nil {
		h.PartHedged(p.event())
	}
}

func (h *Hooks) partDone(p *Part, err error) {
	if h.PartDone != nil {
		h.PartDone(p.event(), err)
	}
}
