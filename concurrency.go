package sluice

import (
	"slices"
	"sync"
	"sync/atomic"
)

// mostPatience is how many quiet stretches a step up waits for at most.
const mostPatience = 8

// governor says how many uploads may run at once, and lets parts in by their numbers: what is stored after
// a crash is then a run from part 1 on, but for what was under way.
//
// A fixed number of uploads stays what it is. One that follows by itself begins with all that fit in
// memory, halves when the store asks to slow down, and goes up by one after a quiet stretch: as many parts
// acknowledged as uploads are allowed. If the store asks again before such a step has lasted a stretch, the step is
// taken back, and the next one waits twice as long, up to mostPatience stretches.
//
// What is under way when the number falls was sent before the store's word could be heeded, so what it hears is not held
// against the new number: an attempt counts by the epoch it began in, and not while more run than are allowed.
type governor struct {
	max     int
	follows bool

	limit atomic.Int32 // uploads allowed, 1 … max; written under mu

	// admitted are the parts let in. It has room for all that may be.
	admitted chan *Part
	// start starts an uploader, which takes from admitted until it is closed.
	start func()

	mu        sync.Mutex
	next      int          // number of the part to let in
	waiting   []*Part      // hashed; a few
	passed    map[int]bool // numbers beyond next that need no upload
	active    int
	uploaders int  // started
	ended     bool // nothing more is offered
	closed    bool // admitted is
	quiet     int  // parts acknowledged since the last change
	probing   bool // the last change was a step up, and has not lasted a stretch
	patience  int  // stretches that the next step up takes
	epoch     int  // changes downwards so far
}

func newGovernor(n int, follows bool, start func()) *governor {
	g := &governor{max: n, follows: follows, next: 1, patience: 1, passed: map[int]bool{}, admitted: make(chan *Part, n), start: start}
	g.limit.Store(int32(n))
	return g
}

// allowed is how many uploads may run now.
func (g *governor) allowed() int { return int(g.limit.Load()) }

// busy reports whether every upload allowed is under way.
func (g *governor) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active >= g.allowed()
}

// offer queues a part that is hashed.
func (g *governor) offer(p *Part) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, p)
	g.admit()
}

// end is called when every part has been offered or passed.
func (g *governor) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.admit()
}

// left takes back the parts that no uploader took, all of which were ended from outside.
func (g *governor) left() []*Part {
	g.mu.Lock()
	defer g.mu.Unlock()
	parts := g.waiting
	g.waiting = nil
	for {
		select {
		case p := <-g.admitted:
			if p != nil {
				parts = append(parts, p)
				continue
			}
		default:
		}
		return parts
	}
}

// enterAfter lets in an upload beside those of the parts up to last, if all of these are let in and there is room.
func (g *governor) enterAfter(last int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next <= last || g.active >= g.allowed() {
		return false
	}
	g.active++
	return true
}

// pass lets the parts behind number go before it: it needs no upload.
func (g *governor) pass(number int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed[number] = true
	g.admit()
}

// leave ends an upload that entered; acknowledged says how. Acknowledgements of attempts that began before the
// last halving count too: a line that is refused one upload too many comes back half as soon without them.
func (g *governor) leave(acknowledged bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	if acknowledged && g.allowed() < g.max {
		g.quiet++
		if g.probing && g.quiet >= g.allowed() {
			g.probing, g.patience = false, 1
		}
		if g.quiet >= g.allowed()*g.patience {
			g.quiet, g.probing = 0, true
			g.limit.Add(1)
		}
	}
	g.admit()
}

// slowDown is told that the store refused an attempt of that epoch because there were too many. It
// returns the epoch in which the next attempt begins.
func (g *governor) slowDown(epoch int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.follows || epoch != g.epoch || g.active > g.allowed() {
		return g.epoch
	}
	if g.probing {
		g.limit.Add(-1)
		g.patience = min(2*g.patience, mostPatience)
	} else {
		g.limit.Store(int32(max(1, g.allowed()/2)))
	}
	g.quiet, g.probing = 0, false
	g.epoch++
	return g.epoch
}

// admit lets in who is next, as long as there is room, and closes admitted behind the last.
func (g *governor) admit() {
	for g.active < g.allowed() {
		if g.passed[g.next] {
			delete(g.passed, g.next)
			g.next++
			continue
		}
		i := slices.IndexFunc(g.waiting, func(p *Part) bool { return p.Number == g.next })
		if i < 0 {
			break
		}
		p := g.waiting[i]
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.next++
		g.active++
		p.epoch = g.epoch
		g.admitted <- p
		if g.uploaders < g.active {
			g.uploaders++
			g.start()
		}
	}
	if g.ended && !g.closed && len(g.waiting) == 0 {
		g.closed = true
		close(g.admitted)
	}
}
