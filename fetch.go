package sluice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// This file fetches the ranges of a file, on goroutines of their own.

// fetcher cuts a file into ranges, gets memory for them in order, and has the
// source fill them, as many at once as the limiter of the queue allows.
//
// Its goroutines are the planner, the fetchers, which take what the queue
// admits by number, and the watch of the queue. When the reader's context ends
// all of them end.
//
// No reader waits for what only another one could release: the planner waits
// for pages only while earlier ranges are on their way to the caller. If there
// are none it uses memory of its own. So the range that is needed next always
// has memory, whatever others do with the Pool.
type fetcher struct {
	reader   *LargeFileReader
	source   Source
	list     *partList
	pool     *Pool
	account  *readAccount
	pageSize int64
	sizes    rangeSizes
	most     int64       // bytes of a range that is a whole part
	own      []byte      // memory for a range when the Pool has none; nil before the first
	to       destination // nil: ranges are delivered in order

	group      sync.WaitGroup
	queue      *queue
	ranges     chan *Range // with memory, in order
	delivering atomic.Int64
	changed    chan struct{} // capacity 1: has a token when delivering or the queue's limit has changed
	memoryUsed atomic.Int64

	mu     sync.Mutex
	active map[int]*Range // offered to the queue and not done, by number
}

// destination is where ranges are written as they arrive, concurrently.
type destination interface {
	writeRange(r *Range) error
	// forget is called with a range whose bytes came from the destination itself,
	// and are not those that were stored.
	forget(r *Range)
}

// ownMemory is the most bytes of a range that is fetched while the Pool has no
// memory for a reader.
const ownMemory = 64 << 10

func (f *fetcher) init(r *LargeFileReader, s Source, pool *Pool, list *partList, opts *ReadOptions) {
	page := int64(pool.pageSize)
	f.reader, f.source, f.list = r, s, list
	f.pool, f.account, f.pageSize = pool, pool.readAccount(), page
	f.changed, f.active = make(chan struct{}, 1), map[int]*Range{}
	memory := int64(pool.readMax) * page
	f.sizes = opts.rangeSizes(r.file.Size, memory, page)
	f.most = max(f.sizes.most, memory/2/page*page)
	n := 1
	if memory > 0 {
		n = int(min(memory/f.sizes.least, maxConcurrency))
	}
	if opts.Concurrency > 0 {
		n = min(n, opts.Concurrency)
	}
	f.ranges = make(chan *Range, pool.readMax+1)
	f.queue = newQueue(n, opts.Concurrency == 0, func() { f.group.Go(f.fetchAll) })
	f.queue.grown = f.changed
	f.queue.limiter.restores()
}

func (f *fetcher) begin() {
	f.group.Go(f.plan)
	f.group.Go(func() { f.queue.watch(f.reader.ctx) })
}

// stop joins the goroutines and gives back all memory. The reader's context has
// ended.
func (f *fetcher) stop() {
	f.group.Wait()
	if h := f.reader.head; h != nil {
		f.reader.head = nil
		f.release(h, f.reader.taken/h.pageSize)
	}
	for {
		select {
		case r := <-f.ranges:
			f.release(r, 0)
		default:
			return
		}
	}
}

func (f *fetcher) plan() {
	defer f.queue.end()
	asked := 0 // pages
	defer func() {
		if asked > 0 {
			f.account.withdraw(asked)
		}
	}()
	size := f.reader.file.Size
	for number, offset := 1, int64(0); offset < size; number++ {
		limit, ok := f.turn()
		if !ok {
			return
		}
		usual := f.sizes.at(offset, limit)
		if asked == 0 && f.pool.readMax > 0 {
			n, _ := f.list.cut(offset, size, usual, f.most)
			asked = f.pool.pagesFor(n)
			f.account.ask(asked)
		}
		granted, ok := f.await()
		if !ok {
			return
		}
		r := f.cut(number, offset, size, usual, granted, asked)
		if granted {
			asked = 0
		}
		offset += r.Size
		f.delivering.Add(1)
		f.memoryUsed.Add(r.memorySize())
		f.ranges <- r // has room for as many ranges as there are pages, and one of own memory
		f.mu.Lock()
		f.active[number] = r
		f.mu.Unlock()
		f.queue.offer(&r.part)
	}
}

// turn waits until so few ranges are on their way to the caller that it is time
// for the next one: twice as many as are fetched at once, so that one may be half
// as fast as the others. More would take memory, and gain nothing.
func (f *fetcher) turn() (limit int, ok bool) {
	for {
		limit = f.queue.allowed()
		if f.delivering.Load() < 2*int64(limit) {
			return limit, f.reader.ctx.Err() == nil
		}
		select {
		case <-f.changed:
		case <-f.reader.ctx.Done():
			return 0, false
		}
	}
}

// await waits for the pages that were asked for, or until nothing is on its way
// to the caller, and reports whether the pages were granted. ok is false if the
// reader has ended.
func (f *fetcher) await() (granted, ok bool) {
	for {
		select {
		case <-f.account.ready:
			return true, true
		default:
		}
		if f.delivering.Load() == 0 {
			return false, f.reader.ctx.Err() == nil
		}
		select {
		case <-f.account.ready:
			return true, true
		case <-f.changed:
		case <-f.reader.ctx.Done():
			return false, false
		}
	}
}

// cut makes the range at offset: of the granted pages, or of the reader's own
// memory.
func (f *fetcher) cut(number int, offset, size, usual int64, granted bool, pages int) *Range {
	var r *Range
	if granted {
		room := int64(pages) * f.pageSize
		n, whole := f.list.cut(offset, size, min(usual, room), room)
		need := f.pool.pagesFor(n)
		if need < pages { // the file has gone on since they were asked for
			f.account.release(pages-need, nil)
		}
		r = newRange(number, offset, n, f.pageSize, make([][]byte, need))
		r.pool = f.pool
		r.whole = whole
	} else {
		if f.own == nil {
			f.own = make([]byte, min(ownMemory, f.pageSize, size-offset))
		}
		n, whole := f.list.cut(offset, size, int64(len(f.own)), int64(len(f.own)))
		r = newRange(number, offset, n, int64(len(f.own)), [][]byte{f.own})
		r.whole = whole
	}
	r.held = r.whole || f.to != nil
	r.part.meter, r.part.queue = f.reader.meter, f.queue
	return r
}

func (r *Range) memorySize() int64 {
	if r.pool == nil {
		return 0
	}
	return int64(len(r.pages)) * r.pageSize
}

func (f *fetcher) releasePage(r *Range, page int) {
	if r.pool == nil {
		return
	}
	f.memoryUsed.Add(-r.pageSize)
	f.account.release(1, r.pages[page])
	r.pages[page] = nil
}

func (f *fetcher) release(r *Range, from int64) {
	for page := int(from); page < len(r.pages); page++ {
		f.releasePage(r, page)
	}
	f.gone()
}

// gone counts a range that the caller has, or will not get.
func (f *fetcher) gone() {
	f.delivering.Add(-1)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *fetcher) fetchAll() {
	for {
		select {
		case p, ok := <-f.queue.admitted:
			if !ok {
				return
			}
			f.mu.Lock()
			r := f.active[p.Number]
			f.mu.Unlock()
			f.fetch(r)
		case <-f.reader.ctx.Done():
			return
		}
	}
}

// fetch has the source fill r, unless the reader has failed.
func (f *fetcher) fetch(r *Range) {
	ctx, cut := context.WithCancel(f.reader.ctx)
	defer cut()
	f.queue.sending(&r.part, cut)
	m := f.reader.meter
	failed, again := errNotReturned, false
	defer func() {
		if again {
			return
		}
		f.queue.done(&r.part, failed == nil)
		f.mu.Lock()
		delete(f.active, r.part.Number)
		f.mu.Unlock()
		if r.part.started {
			m.partsInFlight.Add(-1)
		}
		if failed == nil {
			m.partsDone.Add(1)
			r.show(r.Size)
			return
		}
		f.failed(r, failed)
	}()
	if err := ctx.Err(); err != nil {
		failed = err
		return
	}
	if !r.part.started {
		r.part.started = true
		m.partsInFlight.Add(1)
		m.hooks.PartStarted(r.part.event())
	}
	op, err := f.fill(ctx, r)
	if why := f.queue.returned(&r.part); why != nil && err != nil && f.reader.ctx.Err() == nil {
		m.restarting(&r.part, why)
		f.queue.takeBack(&r.part)
		again = true
		return
	}
	if err != nil {
		err = &opError{op, err}
	}
	m.hooks.PartDone(r.part.event(), errors.Unwrap(err))
	failed = err
}

// opError says in which step of a fetch an error came.
type opError struct {
	op  string
	err error
}

func (e *opError) Error() string { return e.err.Error() }
func (e *opError) Unwrap() error { return e.err }

func (f *fetcher) failed(r *Range, err error) {
	op := "read"
	if o, ok := err.(*opError); ok {
		op, err = o.op, o.err
	}
	e := f.reader.error(op, r, err)
	f.reader.fail(e)
}

// fill reads the bytes of r and verifies its parts. If one is damaged it reads
// all of r again, once. What a partial file has is read from the source if it
// is damaged.
func (f *fetcher) fill(ctx context.Context, r *Range) (op string, err error) {
	for {
		op, err := f.read(ctx, r)
		switch {
		case err == nil && f.to == nil:
			return "", nil
		case err == nil && r.onDisk:
			f.reader.meter.reused.Add(r.Size)
			return "", nil
		case err == nil:
			return "write", f.to.writeRange(r)
		case r.onDisk && ctx.Err() == nil:
			f.to.forget(r)
			r.filled, r.onDisk = 0, false
		case op != "verify" || r.Fresh:
			return op, err
		default:
			f.reader.meter.retrying(&r.part, err, 0)
			r.restart()
		}
	}
}

func (f *fetcher) read(ctx context.Context, r *Range) (op string, err error) {
	if r.Missing() > 0 { // none is of a range whose fetch was ended after its last byte
		if err := f.source.ReadRange(ctx, f.reader.file, r); err != nil {
			return "read", err
		}
	}
	if n := r.Missing(); n > 0 {
		return "read", fmt.Errorf("the source returned %d of %d bytes without an error", r.Size-n, r.Size)
	}
	return "verify", f.list.verify(r)
}
