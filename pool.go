package sluice

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// What a Pool is made of unless said otherwise.
const (
	DefaultMemoryLimit = 128 << 20 // bytes
	DefaultPageSize    = 1 << 20   // bytes
)

// Pool is a hard limit on memory, counted in pages and shared by any number of writers and readers.
//
// There are two kinds of grant, and never more pages are granted than the limit:
//
//	first page  one page, asked for while the writer holds nothing unsent; at most half of all pages
//	claim       every page of one part at once; the first page becomes part of it
//
// A writer that waits for a first page holds nothing, and one that waits for a
// claim holds one page. A part with a claim never waits for memory again, so pages
// come home as long as one claimed part fills from a live source or uploads. A
// source or a store that may hang for ever gets a Pool of its own.
//
// Claims are granted in turn: of the writers that wait, the one that was served
// longest ago comes first. A writer that holds no part has its turn whatever the
// others hold. One that holds some has it only within an equal share of the pages
// among the writers that hold or await a claim. First pages are granted in order
// of arrival, unless many claims wait for nothing but pages.
//
// A Pool may be shared by any number of writers, each of which is written to by
// a goroutine of its own. One goroutine that writes to several of them in turn
// may share a Pool only if it holds the largest part of every writer at once:
// else the goroutine can wait for pages of parts that only it could fill. A
// wait in which nothing has happened for two hours, because all pages are held
// by writers that nothing is written to, fails with [ErrPoolBlocked].
//
// A reader takes pages for what it reads ahead, and never waits for them: if
// there are none it continues with 64 KiB of its own. All readers together hold at
// most a quarter of the pages of a shared Pool, and together with the first
// pages at most half, so that writers need not wait for what readers hold. One
// goroutine may therefore read from one file and write to another on the same
// Pool.
//
// Write waits when the pages are used up, or half of them by first pages: a
// Pool of 128 pages serves 64 writers that have written one byte each, and the
// next one waits until one of them has sent or discarded its page.
//
// A Pool keeps its pages until it is garbage. All methods may be called concurrently.
type Pool struct {
	pageSize int         // bytes
	buffer   *bufferFile // of a file pool, else nil
	pages    int         // all there are
	firstMax int         // first pages at most: half of all, so that a largest part always has room

	mu      sync.Mutex
	first   int        // first pages whose part has no claim yet; <= firstMax
	claimed int        // pages of parts with a claim, filling or uploading; first+claimed <= pages
	sharers int        // accounts that hold or await a claim
	holders []*account // that hold pages
	starts  []*account // await a first page, in order of arrival
	claims  []*account // await a claim, the one served longest ago first
	served  uint64     // claims so far, counting each writer's arrival as one

	readMax int // pages of readers at most
	// pages of readers; first+reading <= firstMax, unless there are readers
	// only
	reading int
	readers int            // that hold or await pages
	reads   []*readAccount // that await pages, in order of arrival

	free [][]byte // memory; of a file pool only what fills first pages
}

// NewPool returns a Pool of limit bytes in pages of pageSize bytes; 0 stands
// for [DefaultMemoryLimit] and [DefaultPageSize]. A limit below two pages is
// refused. No memory is taken before it is needed.
func NewPool(limit int64, pageSize int) (*Pool, error) {
	if limit == 0 {
		limit = DefaultMemoryLimit
	}
	if pageSize == 0 {
		pageSize = DefaultPageSize
	}
	if pageSize < 0 {
		return nil, fmt.Errorf("sluice: page size %d is negative", pageSize)
	}
	n := limit / int64(pageSize)
	if n < 2 {
		return nil, fmt.Errorf("sluice: memory limit %s holds fewer than two pages of %s", size.Format(limit), size.Format(int64(pageSize)))
	}
	const most = 1<<31 - 1 // so that page counts fit an int everywhere
	if n > most {
		return nil, fmt.Errorf("sluice: memory limit %s is over %d pages of %s", size.Format(limit), most, size.Format(int64(pageSize)))
	}
	return &Pool{pageSize: pageSize, pages: int(n), firstMax: int(n / 2), readMax: int(n / 4)}, nil
}

// NewFilePool returns a Pool whose claimed pages lie in a temporary file in
// dir, which has no name, so that it vanishes with the process. limit counts
// the pages in the file. In memory stay one page for each writer, and 256 KiB
// for each upload. A stream that fits one page never touches the disk. A full
// disk fails the stream. Windows is not supported: it cannot remove an open
// file. Close the Pool when no writer needs it any more.
func NewFilePool(dir string, limit int64, pageSize int) (*Pool, error) {
	p, err := NewPool(limit, pageSize)
	if err != nil {
		return nil, err
	}
	if p.buffer, err = newBufferFile(dir, p.pageSize); err != nil {
		return nil, fmt.Errorf("sluice: %w", err)
	}
	return p, nil
}

// Close closes the file of a file pool. Streams that still use it fail. A Pool
// of memory needs no Close.
func (p *Pool) Close() error {
	if p.buffer == nil {
		return nil
	}
	return p.buffer.close()
}

// Limit is the most bytes of pages that are ever in use.
func (p *Pool) Limit() int64 { return int64(p.pages) * int64(p.pageSize) }

// MaxPart is the largest part, in bytes, that a writer on this Pool may have:
// half the limit, so that one part fills while another is sent.
func (p *Pool) MaxPart() int64 { return int64(p.pages-p.firstMax) * int64(p.pageSize) }

// InUse is the bytes of pages granted to writers and readers now.
func (p *Pool) InUse() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.first+p.claimed+p.reading) * int64(p.pageSize)
}

func (p *Pool) pagesFor(n int64) int {
	return int((n + int64(p.pageSize) - 1) / int64(p.pageSize))
}

// share is what a writer has by claims, or a reader, and what it awaits.
type share struct {
	held  int           // pages; under pool.mu
	want  int           // pages that it awaits, 0 for none; under pool.mu
	ready chan struct{} // capacity 1: the grant
}

// hold adds to the pages that s holds, sets what it awaits, and keeps count of the
// pages and the shares of its kind.
func (s *share) hold(add, want int, pages, shares *int) {
	before := s.held+s.want > 0
	s.held += add
	s.want = want
	*pages += add
	switch after := s.held+s.want > 0; {
	case after && !before:
		*shares++
	case before && !after:
		*shares--
	}
}

// account is one writer's standing with its Pool. One goroutine at a time asks
// and waits on it (the one whose turn it is), so the waiter is part of it and
// waiting allocates nothing. Giving back may be done by any goroutine.
type account struct {
	pool *Pool
	share
	served  uint64       // pool.served at its last claim, 0 before the first; under pool.mu
	granted atomic.Int64 // pages of first page and claims together; written under pool.mu
	waiting func(bool)   // told before and after a wait that blocks
	stalled atomic.Bool  // it waits
	timer   *time.Timer  // of its waits; nil before the first
	// activity returns the bytes that the writer has accepted, and reports
	// whether parts of it are on their way, or a call other than a wait for
	// memory is under way.
	activity func() (accepted int64, busy bool)
}

func (p *Pool) account(waiting func(bool), activity func() (int64, bool)) *account {
	return &account{pool: p, share: share{ready: make(chan struct{}, 1)}, waiting: waiting, activity: activity}
}

func (a *account) grants(pages int) {
	p := a.pool
	switch after := a.granted.Add(int64(pages)); {
	case after == 0 && pages != 0:
		p.holders = slices.DeleteFunc(p.holders, func(h *account) bool { return h == a })
	case after == int64(pages) && pages > 0:
		p.holders = append(p.holders, a)
	}
}

// held returns the bytes that all writers holding pages have accepted, and
// reports whether nothing that they do can bring a page home for a.
func (p *Pool) held(a *account) (accepted int64, idle bool) {
	for _, h := range p.holders {
		n, busy := h.activity() // a itself is busy only with parts on their way
		if busy {
			return 0, false
		}
		accepted += n
	}
	return accepted, true
}

// firstPage waits for a first page. The caller holds no filling part.
func (a *account) firstPage(ctx context.Context) ([]byte, error) {
	p := a.pool
	p.mu.Lock()
	p.starts = append(p.starts, a)
	if err := a.wait(ctx, &p.starts, a.dropFirst); err != nil {
		return nil, err
	}
	return a.pool.memory(), nil
}

// claim turns the first page into the n pages of a whole part; n*pageSize <= MaxPart rounded up.
func (a *account) claim(ctx context.Context, n int) error {
	p := a.pool
	p.mu.Lock()
	p.hold(a, 0, n)
	if a.served == 0 {
		p.moveLast(a)
	}
	at := slices.IndexFunc(p.claims, func(w *account) bool { return w.served > a.served })
	if at < 0 {
		at = len(p.claims)
	}
	p.claims = slices.Insert(p.claims, at, a)
	return a.wait(ctx, &p.claims, a.unclaim)
}

// dropFirst takes a first page back; unclaim turns a claim into the first page again.
func (a *account) dropFirst(int) {
	a.pool.first--
	a.grants(-1)
}

func (a *account) unclaim(n int) {
	a.pool.hold(a, -n, 0)
	a.pool.first++
	a.grants(1)
}

// wait is entered with pool.mu held and a in q. It ends with the grant, or with ctx's cause and
// nothing granted.
func (a *account) wait(ctx context.Context, q *[]*account, undo func(want int)) error {
	p := a.pool
	want := a.want
	p.grant()
	p.mu.Unlock()
	select {
	case <-a.ready:
		return nil
	default:
	}
	a.waiting(true)
	defer a.waiting(false)
	a.stalled.Store(true)
	defer a.stalled.Store(false)
	why, granted := a.await(ctx)
	if granted {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-a.ready: // granted in between
		undo(want)
	default:
		i := slices.Index(*q, a)
		*q = slices.Delete(*q, i, i+1)
		p.hold(a, 0, 0)
	}
	p.grant()
	return why
}

// await waits for the grant, and returns why there is none.
func (a *account) await(ctx context.Context) (why error, granted bool) {
	if a.timer == nil {
		a.timer = time.NewTimer(poolPatience)
	}
	a.timer.Reset(poolPatience)
	defer a.timer.Stop()
	before := int64(-1)
	for {
		select {
		case <-a.ready:
			return nil, true
		case <-ctx.Done():
			return context.Cause(ctx), false
		case <-a.timer.C:
		}
		a.pool.mu.Lock()
		accepted, idle := a.pool.held(a)
		others := len(a.pool.holders)
		a.pool.mu.Unlock()
		if idle && accepted == before {
			return fmt.Errorf("%w: %d writers hold the pool of %s, and nothing has been written to them for %v; "+
				"if one goroutine writes to several writers, give each a Pool of its own, or one that holds a part of each",
				ErrPoolBlocked, others, size.Format(a.pool.Limit()), poolPatience), false
		}
		before = -1
		if idle {
			before = accepted
		}
		a.timer.Reset(poolPatience)
	}
}

// poolPatience is how long nothing has to happen to the pages of a Pool,
// between two looks, for a wait to be hopeless.
const poolPatience = time.Hour

// memory hands out a page that a grant already paid for; it never waits. The
// page that was given back last comes first: it is the most likely one to be in
// the processor's cache.
func (p *Pool) memory() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.free) - 1; last >= 0 {
		b := p.free[last]
		p.free = p.free[:last]
		return b
	}
	return make([]byte, p.pageSize)
}

// recycle takes back memory whose bytes are in the file.
func (p *Pool) recycle(mem []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, mem)
}

// release gives back the pages taken under a claim of n pages, or under part of
// one; n is 0 for a first page whose part never had a claim.
func (a *account) release(pages []page, n int) {
	p := a.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range pages {
		if g.mem != nil {
			p.free = append(p.free, g.mem)
		} else {
			p.buffer.release(g.at)
		}
	}
	if n == 0 {
		a.dropFirst(0)
	} else {
		p.hold(a, -n, a.want)
	}
	p.grant()
}

func (p *Pool) hold(a *account, add, want int) {
	a.share.hold(add, want, &p.claimed, &p.sharers)
	a.grants(add)
}

func (p *Pool) moveLast(a *account) {
	p.served++
	a.served = p.served
}

// eligible reports whether a may have the claim it awaits: its first part
// always, a further one only within an equal share of the pages.
func (p *Pool) eligible(a *account) bool {
	return a.held == 0 || a.held+a.want <= p.pages/p.sharers
}

// congested reports whether so many claims wait for nothing but pages that first
// pages wait too: the page that each of them holds is missing where parts are
// sent.
func (p *Pool) congested() bool {
	n := 0
	for _, a := range p.claims {
		if p.eligible(a) {
			n++
		}
	}
	return n >= max(1, p.pages/16)
}

// grant serves the waiters in order until the next one does not fit; a writer over its share is
// passed over, because its own uploads will bring it back. Claims come before first pages: they are
// what brings pages home.
func (p *Pool) grant() {
	awaited := p.grantReads()
	// with what is kept free for a reader, so that claims do not always come
	// first
	reading := p.reading
	if p.first+reading+awaited <= p.firstMax {
		reading += awaited
	}
	for i := 0; i < len(p.claims); {
		a := p.claims[i]
		if !p.eligible(a) {
			i++
			continue
		}
		if p.first-1+p.claimed+reading+a.want > p.pages {
			break
		}
		p.claims = append(p.claims[:i], p.claims[i+1:]...)
		a.dropFirst(0)
		p.hold(a, a.want, 0)
		p.moveLast(a)
		a.ready <- struct{}{}
	}
	for len(p.starts) > 0 && p.first+p.reading+awaited < p.firstMax && p.first+p.claimed+reading < p.pages && !p.congested() {
		a := p.starts[0]
		p.starts = append(p.starts[:0], p.starts[1:]...)
		p.first++
		a.grants(1)
		a.ready <- struct{}{}
	}
}
