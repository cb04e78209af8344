package sluice

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// mostPatience is how many quiet stretches a step up waits for at most.
const mostPatience = 8

// governor says how many uploads may run at once, and lets parts in by their numbers: what is stored after
// a crash is then a run from part 1 on, but for what was under way.
//
// A fixed number of uploads stays what it is. One that follows by itself begins with all that fit in
// memory, halves when the store asks to slow down, and goes up by one after a quiet stretch: as many parts
// acknowledged as uploads are allowed. If the store asks again before such a step has lasted a stretch, the step is
// taken back, and the next one waits twice as long, up to mostPatience stretches. An attempt counts by the epoch it
// began in: what was under way when the number fell is not held against the new one.
//
// An upload that was refused rests. It keeps its place, so that a store that serves nobody is left alone; each part that
// is acknowledged meanwhile shows that it serves somebody, and gives one such place to another part. When its wait
// is over, a resting upload goes on as soon as there is room for it, before any new part.
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
	running   int          // uploads that do not rest
	resting   int          // uploads that the store refused, until they go on
	kept      int          // places that resting uploads keep
	returning []*returning // of those resting, whose wait is over
	uploaders int          // started
	ended     bool         // nothing more is offered
	closed    bool         // admitted is
	quiet     int          // parts acknowledged since the last change
	probing   bool         // the last change was a step up, and has not lasted a stretch
	patience  int          // stretches that the next step up takes
	epoch     int          // changes downwards so far
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
	return !g.room()
}

// room reports whether one upload more may run.
func (g *governor) room() bool {
	return g.running+g.kept < g.allowed() && g.running+g.resting < g.max
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
	for len(g.admitted) > 0 {
		parts = append(parts, <-g.admitted)
	}
	return parts
}

// enterAfter lets in an upload beside those of the parts up to last, if all of these are let in and there is room.
func (g *governor) enterAfter(last int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next <= last || !g.room() {
		return false
	}
	g.running++
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
	g.running--
	if acknowledged {
		g.kept = max(0, g.kept-1)
		g.quiet++
		if g.probing && g.quiet >= g.allowed() {
			g.probing, g.patience = false, 1
		}
		if g.quiet >= g.allowed()*g.patience && g.allowed() < g.max {
			g.quiet, g.probing = 0, true
			g.limit.Add(1)
		}
	}
	g.admit()
}

// rest is told that the store refused the attempt at p under way because there were too many, and waits until the next
// one may begin: for wait, and until there is room. If ctx ends before, its error is returned.
func (g *governor) rest(ctx context.Context, p *Part, wait time.Duration) error {
	if !g.follows {
		return sleep.For(ctx, wait)
	}
	g.refused(p)
	_ = sleep.For(ctx, wait)
	r := g.comeBack(p)
	select {
	case <-r.turn:
	case <-ctx.Done():
		g.goOn(r)
	}
	return ctx.Err()
}

// refused has the number of uploads fall, unless it has done so since the attempt began, and p rest.
func (g *governor) refused(p *Part) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.resting++
	g.kept++
	if p.epoch == g.epoch {
		g.fall()
	}
	g.admit() // another one, whose wait is over
}

func (g *governor) fall() {
	if g.probing {
		g.limit.Add(-1)
		g.patience = min(2*g.patience, mostPatience)
	} else {
		g.limit.Store(int32(max(1, g.allowed()/2)))
	}
	g.quiet, g.probing = 0, false
	g.epoch++
}

// returning is a refused upload whose wait is over.
type returning struct {
	part *Part
	turn chan struct{} // closed when it may go on
}

func (g *governor) comeBack(p *Part) *returning {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &returning{p, make(chan struct{})}
	g.returning = append(g.returning, r)
	g.admit()
	return r
}

// goOn ends the rest of r, whether there is room or not, unless it has ended.
func (g *governor) goOn(r *returning) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.returning, r) {
		g.resume(r)
	}
}

func (g *governor) resume(r *returning) {
	g.returning = slices.DeleteFunc(g.returning, func(other *returning) bool { return other == r })
	g.resting--
	g.kept = min(g.kept, g.resting)
	g.running++
	r.part.epoch = g.epoch
	r.part.tried.from(time.Now())
	close(r.turn)
}

// admit lets in who is next, as long as there is room, and closes admitted behind the last.
func (g *governor) admit() {
	for len(g.returning) > 0 && g.running < g.allowed() {
		g.resume(slices.MinFunc(g.returning, func(a, b *returning) int { return cmp.Compare(a.part.Number, b.part.Number) }))
	}
	for g.room() {
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
		g.running++
		p.epoch = g.epoch
		g.admitted <- p
		if g.uploaders < g.running+g.resting {
			g.uploaders++
			g.start()
		}
	}
	if g.ended && !g.closed && len(g.waiting) == 0 {
		g.closed = true
		close(g.admitted)
	}
}
