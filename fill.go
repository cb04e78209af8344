package sluice

import (
	"errors"
	"fmt"
	"io"
)

// This file fills parts. Everything in it runs for the holder of the turn.

// filling is how far the stream has come. It belongs to the holder of the turn,
// or of the lent token.
type filling struct {
	part     *Part  // being filled, nil between parts
	want     int64  // bytes part is to have
	room     []byte // free rest of the part's last page
	readInto bool   // the source reads into room, not ahead
	parts    int    // handed over
	total    int64  // bytes accepted
	blocked  *clock // runs while the turn's holder waits for memory

	// ahead is what ReadFrom reads into while a byte more would need memory:
	// whether there is one more is known before memory is asked for.
	ahead [4096]byte
}

// write adds p, handing over each full part once a byte beyond it is known.
func (w *LargeFileWriter) write(p []byte) (n int, err error) {
	for {
		if err := w.err(); err != nil {
			return n, err
		}
		if len(p) == 0 {
			return n, nil
		}
		if len(w.room) == 0 {
			if err := w.grow(); err != nil {
				return n, err
			}
		}
		k := copy(w.room, p)
		w.filled(k)
		n += k
		p = p[k:]
	}
}

func (w *LargeFileWriter) filled(n int) {
	w.room = w.room[n:]
	w.part.Size += int64(n)
	w.total += int64(n)
	w.meter.accepted.Add(int64(n))
}

// grow makes room for one more byte, which is known to come: it hands over a full part, and takes a
// first page, a claim on the rest of the part, or a page that is claimed.
func (w *LargeFileWriter) grow() error {
	if w.part != nil && w.part.Size == w.want {
		if w.total == w.plan.settings.MaxStreamSize {
			return w.fail(w.error("write", w.plan.beyond))
		}
		if err := w.claim(1); err != nil { // of a part that fits its first page
			return err
		}
		if w.plan.pool.buffer != nil {
			mem, err := w.moveToFile()
			if err != nil {
				return err
			}
			w.plan.pool.recycle(mem)
		}
		if err := w.handOver(); err != nil {
			return err
		}
	}
	if w.part == nil {
		return w.openPart()
	}
	if err := w.claim(w.plan.pool.pagesFor(w.want)); err != nil {
		return err
	}
	return w.nextPage()
}

// nextPage goes on to a page that the claim has paid for. In a file pool that
// is the same memory, once its bytes are in the file.
func (w *LargeFileWriter) nextPage() error {
	if w.plan.pool.buffer == nil {
		w.addPage(w.account.pool.memory())
		return nil
	}
	mem, err := w.moveToFile()
	if err != nil {
		return err
	}
	w.addPage(mem)
	return nil
}

// moveToFile writes the last page of the part to the file of a file pool and returns its memory.
func (w *LargeFileWriter) moveToFile() ([]byte, error) {
	last := &w.part.pages[len(w.part.pages)-1]
	mem := last.mem
	used := w.part.Size - int64(len(w.part.pages)-1)*int64(len(mem))
	moved, err := w.plan.pool.buffer.write(mem[:used])
	if err != nil {
		return nil, w.fail(w.error("buffer", err))
	}
	*last = moved
	return mem, nil
}

func (w *LargeFileWriter) openPart() error {
	want, err := w.nextSize()
	if err != nil {
		return err
	}
	mem, err := w.account.firstPage(w.ctx)
	if err != nil {
		return w.noMemory(err)
	}
	w.part = w.pipeline.newPart()
	w.part.Number, w.part.Offset = w.parts+1, w.total
	w.want = min(want, w.plan.settings.MaxStreamSize-w.total)
	w.addPage(mem)
	return nil
}

// nextSize asks the schedule, or the store where it plans the parts: that needs the large file.
func (w *LargeFileWriter) nextSize() (int64, error) {
	if !w.plan.limits.ServerSizesParts {
		if n := w.plan.resumed.sizeOf(w.parts + 1); n > 0 {
			return n, nil
		}
		return w.plan.schedule.next(w.total, w.parts), nil
	}
	sizes, err := w.pipeline.plannedSizes()
	if err != nil {
		return 0, w.err()
	}
	return sizes[w.parts], nil
}

func (w *LargeFileWriter) addPage(mem []byte) {
	w.part.pages = append(w.part.pages, page{mem: mem})
	w.room = mem[:min(int64(len(mem)), w.want-w.part.Size)]
}

// claim makes the memory of the part its own, all n pages at once, unless it is.
func (w *LargeFileWriter) claim(n int) error {
	if w.part.claimed > 0 {
		return nil
	}
	if err := w.account.claim(w.ctx, n); err != nil {
		return w.noMemory(err)
	}
	w.part.claimed = n
	return nil
}

func (w *LargeFileWriter) handOver() error {
	p := w.part
	if err := w.compareFirst(p); err != nil {
		return err
	}
	w.part, w.room = nil, nil
	w.parts++
	if !w.pipeline.handOver(p) {
		return w.err()
	}
	return nil
}

// readOnce reads once from r: into the page being filled, or ahead if one more
// byte would need memory.
func (w *LargeFileWriter) readOnce(r io.Reader) (int, error) {
	if err := w.err(); err != nil {
		return 0, err
	}
	if len(w.room) == 0 && w.part != nil && w.part.claimed > 0 && w.part.Size < w.want {
		if err := w.nextPage(); err != nil {
			return 0, err
		}
	}
	into := w.room
	if len(into) == 0 {
		into = w.ahead[:]
	}
	n, err := w.lend(r, into)
	switch {
	case n == 0:
	case len(w.room) > 0:
		w.filled(n)
	default:
		var failed error
		if n, failed = w.write(w.ahead[:n]); failed != nil {
			return n, failed
		}
	}
	if err != nil && err != io.EOF {
		err = w.fail(w.error("read", err))
	}
	return n, err
}

var errReadPanicked = errors.New("source panicked in Read")

// lend reads into buf with the lent token out, so that a failed stream can be
// ended while r hangs. If that happened, the page read into is all that is left
// to give back.
func (w *LargeFileWriter) lend(r io.Reader, buf []byte) (n int, err error) {
	part := w.part
	w.readInto = len(w.room) > 0
	var page []page
	var claimed int
	if w.readInto {
		page, claimed = part.pages[len(part.pages)-1:], min(part.claimed, 1)
	}
	returned := false
	defer func() {
		select {
		case <-w.lent:
			if !returned {
				w.fail(w.error("read", errReadPanicked))
			}
		default:
			if page != nil {
				w.account.release(page, claimed)
			}
			n, err = 0, w.err()
		}
	}()
	w.lent <- struct{}{}
	n, err = r.Read(buf)
	returned = true
	if n < 0 || n > len(buf) {
		n, err = 0, fmt.Errorf("source returned %d bytes from a Read of %d", n, len(buf))
	}
	return n, err
}

// discard gives back the part being filled. What a source that hangs in Read is
// reading into stays out until it returns.
func (w *LargeFileWriter) discard(reading bool) {
	p := w.part
	w.part, w.room = nil, nil
	switch {
	case p == nil:
	case !reading || !w.readInto:
		w.account.release(p.pages, p.claimed)
	case p.claimed > 1:
		w.account.release(p.pages[:len(p.pages)-1], p.claimed-1)
	}
}
