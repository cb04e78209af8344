package sluice

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// Part is the bytes of one part, or of a whole small file, lent to a backend for the duration of one
// call. The backend reads them through Attempt, changes nothing, and keeps neither the Part nor its
// Digests after the call returned: the pages carry other bytes then.
//
// A net/http transport may read a request body after Do has returned, so an upload drains and closes
// the response and then closes the Body, which waits for a read in progress.
type Part struct {
	Number int   // from 1; 0 in UploadFile
	Offset int64 // of its first byte in the stream
	Size   int64 // bytes
	// Digests are by Limits.PartDigests (in UploadFile also by Limits.WholeDigests), computed once,
	// before the call.
	Digests Digests

	held
	tried attempts

	meter   *meter    // counts what is sent; nil for a part made by NewPart
	uploads *governor // lets it in, and hears of slowing down; nil for a whole file, and for a part made by NewPart
	epoch   int       // of uploads, in which the attempt under way began; under its lock
}

// held is the memory that a part holds.
type held struct {
	pages   []page       // the bytes in order; the last page may be longer than the part needs
	size    int64        // of a page
	buffer  *bufferFile  // where those pages are that are not in memory
	claimed int          // pages of its claim, 0 while it has but its first page
	refs    atomic.Int32 // who still reads the pages: who hashes and uploads it, and the digests of the stream
}

// NewPart returns a part outside any stream, for testing backends. It lends data. Its Offset is 0: set it for
// a part that is not the first.
func NewPart(number int, data []byte, digests Digests) *Part {
	return &Part{Number: number, Size: int64(len(data)), Digests: digests, held: held{pages: []page{{mem: data}}, size: int64(len(data))}}
}

// reset makes p an empty part again. Its digests' memory and its unused bodies stay.
func (p *Part) reset() {
	p.Number, p.Offset, p.Size = 0, 0, 0
	p.pages, p.claimed = p.pages[:0], 0
	p.tried.reset()
}

// Attempt returns the bytes from the start. Every attempt takes a Body of its own and closes it. It
// may be called concurrently.
func (p *Part) Attempt() *Body {
	b := p.tried.body()
	b.part = p
	b.idle.L = &b.mu
	return b
}

// Backoff reports that an attempt failed with err, and waits until the next one may begin: for wait, and if err matches
// [ErrSlowDown], which makes uploads fewer, until there is room for one more. It is how Stats and [Hooks] know of
// retries. If ctx ends before, its error is returned.
func (p *Part) Backoff(ctx context.Context, err error, wait time.Duration) error {
	if p.meter != nil {
		p.tried.from(time.Now().Add(wait))
		p.meter.retrying(p, err, wait)
	}
	if p.uploads == nil || !errors.Is(err, ErrSlowDown) {
		return sleep.For(ctx, wait)
	}
	return p.uploads.rest(ctx, p, wait)
}

// count files n bytes read up to the offset end of the part: the first time as sent, else as resent.
func (p *Part) count(n int, end int64) {
	if p.meter == nil {
		return
	}
	fresh := p.tried.read(end)
	p.meter.sending(fresh, int64(n)-fresh)
}

// bytes returns the contiguous bytes from off on, [io.EOF] if there are none. Those of a page in a file
// are read into scratch, as many as fit.
func (p *Part) bytes(off int64, scratch []byte) ([]byte, error) {
	if off == p.Size {
		return nil, io.EOF
	}
	g, in := p.pages[off/p.size], off%p.size
	n := min(p.size-in, p.Size-off)
	if g.mem != nil {
		return g.mem[in : in+n], nil
	}
	scratch = scratch[:min(int64(len(scratch)), n)]
	return scratch, p.buffer.read(scratch, g.at, in)
}

// takeScratch is the memory that bytes needs, none if all pages are in memory.
func (p *Part) takeScratch() []byte {
	if p.buffer == nil {
		return nil
	}
	return p.buffer.takeScratch()
}

func (p *Part) giveScratch(s []byte) {
	if s != nil {
		p.buffer.giveScratch(s)
	}
}
