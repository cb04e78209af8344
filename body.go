package sluice

import (
	"errors"
	"io"
	"sync"
)

var (
	_ io.ReadCloser = (*Body)(nil)
	_ io.WriterTo   = (*Body)(nil)
)

var errBodyClosed = errors.New("sluice: part body is closed")

// Body is one attempt's reader of a part. It is used by one goroutine, but Close may be called by
// another, as net/http does. What it yields counts as sent.
type Body struct {
	part *Part

	mu     sync.Mutex
	idle   sync.Cond // signalled when busy falls; a condition, so that waiting is seen by synctest
	busy   bool      // a Read or WriteTo touches the pages
	closed bool
	off    int64 // of the next byte in the part
}

// Read reads the next bytes; the last ones come with [io.EOF].
func (b *Body) Read(q []byte) (int, error) {
	src, err := b.take(q)
	if err != nil {
		return 0, err
	}
	n := copy(q, src)
	if b.put(n) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo writes what is left in slices as large as the pages; of pages in a file 256 KiB at a time.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	scratch := b.part.takeScratch()
	defer b.part.giveScratch(scratch)
	var total int64
	for {
		src, err := b.take(scratch)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(src)
		b.put(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
		if n < len(src) {
			return total, io.ErrShortWrite
		}
	}
}

// Close waits for a Read or WriteTo in progress; after it the bytes are not touched any more. A WriteTo
// that hangs in a connection ends when the connection is closed: close that first.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
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

// put gives back what take lent, of which n bytes were used, and reports whether they were the last.
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
