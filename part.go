package sluice

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// Part is the bytes of one part, or of a whole small file, lent to a backend
// for the duration of one call. The backend reads them through Attempt, changes
// nothing, and keeps neither the Part nor its Digests after the call returned:
// the pages carry other bytes then.
//
// A net/http transport may read a request body after Do has returned, so an
// upload drains and closes the response and then closes the Body, which waits
// for a read in progress.
type Part struct {
	Number int   // from 1; 0 in UploadFile
	Offset int64 // of its first byte in the stream
	Size   int64 // bytes
	// Digests are by Limits.PartDigests (in UploadFile also by Limits.WholeDigests), computed once,
	// before the call.
	Digests Digests

	held
	tried attempts

	meter *meter     // counts what is sent; nil for a part made by NewPart
	rate  *rateLimit // nil: none
	queue *queue     // hears of congestion; nil for a whole file, and for a part made by NewPart
	// Under the queue's lock.
	epoch int                // of the limiter, in which the attempt under way began
	since time.Time          // when that began, or will begin
	cut   context.CancelFunc // ends the upload under way; nil if there is none, or it was ended so
	ended error              // why it was ended so
	slow  bool               // it was once, as a straggler
	// rejections counts attempts that met congestion.
	rejections int
	started    bool // a hook was told

	resumes bool // an attempt resumes where the last one ended; of a range that is read
}

type attempts struct {
	mu     sync.Mutex
	made   int
	offset int64  // up to which the latest attempt has read
	sent   int64  // the most any attempt has read, so that only what is read again counts as resent
	past   int64  // bytes that earlier attempts have moved
	bodies []Body // made ahead, each used once: a transport may keep a reference to a spent one
}

// bodiesAhead is how many bodies a part makes at once, so that an attempt
// seldom allocates.
const bodiesAhead = 32

func (p *Part) body() *Body {
	a := &p.tried
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	p.rewind()
	if len(a.bodies) == 0 {
		a.bodies = make([]Body, bodiesAhead)
	}
	b := &a.bodies[0]
	a.bodies = a.bodies[1:]
	return b
}

// rewind ends the latest attempt: the next one moves bytes of its own. It is
// called with the lock of the attempts.
func (p *Part) rewind() {
	if p.resumes {
		return
	}
	p.tried.past += max(0, p.tried.offset-p.buffered())
	p.tried.offset = 0
}

func (p *Part) read() int64 {
	p.tried.mu.Lock()
	defer p.tried.mu.Unlock()
	return p.tried.offset
}

// begin is called when p gets a slot for its next attempt.
func (p *Part) begin() {
	p.tried.mu.Lock()
	defer p.tried.mu.Unlock()
	p.rewind()
}

func (a *attempts) reset() { a.made, a.offset, a.sent, a.past = 0, 0, 0, 0 }

func (a *attempts) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
}

func (a *attempts) number() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made
}

// read records that an attempt has read up to the offset end of the part, and
// returns how many of these bytes no attempt had read before.
func (a *attempts) read(end int64) (fresh int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh = max(0, end-a.sent)
	a.sent = max(a.sent, end)
	a.offset = max(a.offset, end)
	return fresh
}

// buffered is how many of the bytes that an attempt has read are taken to lie
// in the socket's buffer, which takes the first ones at once however slow the
// network is.
func (p *Part) buffered() int64 { return max(p.Size/256, p.size/4) }

// moved is how many bytes of p have left the sockets' buffers, in all its
// attempts. Those of a finished part all have.
func (p *Part) moved(finished bool) int64 {
	a := &p.tried
	a.mu.Lock()
	defer a.mu.Unlock()
	if finished {
		return a.past + p.Size
	}
	return a.past + max(0, a.offset-p.buffered())
}

// progress is moved of a part that is being sent. edge reports whether its
// attempt has just begun, or has nothing left to read: it then moves bytes that
// are not seen.
func (p *Part) progress() (moved int64, edge bool) {
	a := &p.tried
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.past + max(0, a.offset-p.buffered()), a.offset <= p.buffered() || a.offset == p.Size
}

type held struct {
	pages   []page       // the bytes in order; the last page may be longer than the part needs
	size    int64        // of a page
	buffer  *bufferFile  // where those pages are that are not in memory
	claimed int          // pages of its claim, 0 while it has but its first page
	refs    atomic.Int32 // readers of the pages: the upload, and the digests of the stream
}

// NewPart returns a part outside any stream, for testing backends. It lends
// data. Its Offset is 0: set it for a part that is not the first.
func NewPart(number int, data []byte, digests Digests) *Part {
	return &Part{Number: number, Size: int64(len(data)), Digests: digests, held: held{pages: []page{{mem: data}}, size: int64(len(data))}}
}

// reset makes p an empty part again. Its digests' memory and its unused bodies stay.
func (p *Part) reset() {
	p.Number, p.Offset, p.Size = 0, 0, 0
	p.pages, p.claimed = p.pages[:0], 0
	p.tried.reset()
	p.cut, p.ended, p.slow, p.rejections, p.started = nil, nil, false, 0, false
}

// Attempt returns the bytes from the start. Every attempt takes a Body of its own and closes it. It
// may be called concurrently.
func (p *Part) Attempt() *Body {
	b := p.body()
	b.part = p
	if p.rate != nil {
		b.closing = make(chan struct{})
	}
	b.idle.L = &b.mu
	return b
}

// Digest returns the digest of the part by an algorithm: the one among Digests,
// or one that it computes of the bytes. It fails only if the pages are in a file.
func (p *Part) Digest(a Algorithm) ([]byte, error) {
	if sum := p.Digests.Get(a.Name); sum != nil {
		return sum, nil
	}
	hs := newHashers([]Algorithm{a})
	if err := hs.write(p); err != nil {
		return nil, err
	}
	return hs[0].Sum(nil), nil
}

// Backoff reports that an attempt failed with err, and waits until the next one
// may begin: for wait, and if err matches [ErrSlowDown], which makes uploads
// fewer, until there is room for one more. Stats and [Hooks] learn of retries
// by it. If ctx ends before, its error is returned. It must not be called
// concurrently.
func (p *Part) Backoff(ctx context.Context, err error, wait time.Duration) error {
	if p.meter != nil {
		p.meter.retrying(p, err, wait)
	}
	switch {
	case p.queue == nil:
		return sleep.For(ctx, wait)
	case errors.Is(err, ErrSlowDown):
		return p.queue.rest(ctx, p, wait)
	default:
		p.queue.pause(p, wait)
		return sleep.For(ctx, wait)
	}
}

// count files n bytes read up to the offset end of the part: the first time as
// sent, else as resent.
func (p *Part) count(n int, end int64) {
	if p.meter == nil {
		return
	}
	fresh := p.tried.read(end)
	p.meter.sending(fresh, int64(n)-fresh)
}

// bytes returns the contiguous bytes from off on, [io.EOF] if there are none.
// Those of a page in a file are read into scratch, as many as fit.
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

var (
	_ io.ReadCloser = (*Body)(nil)
	_ io.WriterTo   = (*Body)(nil)
)

var errBodyClosed = errors.New("sluice: part body is closed")

// Body is one attempt's reader of a part. It is used by one goroutine, but Close may be called by
// another, as net/http does. What it yields counts as sent.
type Body struct {
	part *Part

	// closing ends a wait for the rate limit; nil if there is no limit.
	closing chan struct{}

	mu     sync.Mutex
	idle   sync.Cond // signalled when busy falls; a condition, so that waiting is seen by synctest
	busy   bool      // a Read or WriteTo touches the pages
	closed bool
	off    int64 // of the next byte in the part
}

// Read reads the next bytes; the last ones come with [io.EOF].
func (b *Body) Read(q []byte) (int, error) {
	n, err := b.allow(int64(len(q)))
	if err != nil {
		return 0, err
	}
	src, err := b.take(q[:n])
	if err != nil {
		return 0, err
	}
	k := copy(q[:n], src)
	if b.put(k) {
		return k, io.EOF
	}
	return k, nil
}

// allow waits until the rate limit lets bytes go, at most n, and returns how
// many. It touches no page, so Close does not wait for it.
func (b *Body) allow(n int64) (int64, error) {
	limit := b.part.rate
	if limit == nil {
		return n, nil
	}
	b.mu.Lock()
	closed := b.closed
	if !closed { // else the part may be another one by now
		n = min(n, limit.slice(), b.part.Size-b.off)
	}
	b.mu.Unlock()
	if closed {
		return 0, errBodyClosed
	}
	wait := limit.reserve(n)
	if wait <= 0 {
		return n, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return n, nil
	case <-b.closing:
		return 0, errBodyClosed
	}
}

// WriteTo writes what is left, in slices of at most a page; of pages in a file
// in at most 256 KiB. On a slow connection the slices become smaller, so that
// progress is seen while a page is on its way.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	scratch := b.part.takeScratch()
	defer b.part.giveScratch(scratch)
	page := b.part.size
	slice, least := ceilDiv(page, 64), ceilDiv(page, 256)
	var total int64
	for {
		most, err := b.allow(slice)
		if err != nil {
			return total, err
		}
		src, err := b.take(scratch)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		src = src[:min(int64(len(src)), most)]
		began := time.Now()
		n, err := w.Write(src)
		took := time.Since(began)
		b.put(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
		if n < len(src) {
			return total, io.ErrShortWrite
		}
		switch {
		case took < fastSlice && slice < total/8: // the first ones only fill the socket's buffer
			slice = min(2*slice, page)
		case took > 4*fastSlice:
			slice = max(slice/2, least)
		}
	}
}

// fastSlice is how long writing a slice takes at least once the slices are
// large enough.
const fastSlice = 25 * time.Millisecond

// Close waits for a Read or WriteTo in progress; after it the bytes are not
// touched any more. A WriteTo that hangs in a connection ends when the
// connection is closed: close that first.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && b.closing != nil {
		close(b.closing)
	}
	b.closed = true
	for b.busy {
		b.idle.Wait()
	}
	return nil
}

// take lends the next contiguous bytes until put; bytes that are in a file come in scratch.
func (b *Body) take(scratch []byte) ([]byte, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, errBodyClosed
	}
	b.busy = true
	b.mu.Unlock()
	src, err := b.part.bytes(b.off, scratch)
	if err != nil {
		b.put(0)
	}
	return src, err
}

// put gives back what take lent, of which n bytes were used, and reports
// whether they were the last.
func (b *Body) put(n int) (last bool) {
	// While busy: after Close the part may be another one.
	b.off += int64(n)
	last = b.off == b.part.Size
	b.part.count(n, b.off)
	b.mu.Lock()
	b.busy = false
	b.idle.Broadcast()
	b.mu.Unlock()
	return last
}
