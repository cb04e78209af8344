package sluice

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/sleep"
)

// queue hands hashed parts to uploaders in the order of their numbers, so that
// after a crash the stored parts are a run from part 1 on, apart from those
// that were under way. The limiter decides how many run at once.
//
// A part holds a slot from its admission until its upload ends. One that backs
// off because of congestion gives its slot up, and waits for another one when
// its wait is over; such parts go before new ones.
type queue struct {
	// admitted has room for all parts that can be admitted at once.
	admitted chan *Part
	// start starts one more uploader, which takes parts from admitted until it
	// is closed. It is called without the lock.
	start func()
	began time.Time
	// changed has a token when watch may have to look earlier than it knows.
	changed chan struct{}
	// grown gets a token, if there is room, when the limit has risen. It may be
	// nil.
	grown chan<- struct{}

	mu        sync.Mutex
	limiter   limiter
	before    int // the limit when the lock was released last
	pace      pace
	inspected time.Duration // when the uploads were inspected last, since began
	due       time.Duration // when to look at the uploads again, since began
	next      int           // number of the part to admit
	ready     map[int]*Part // hashed, by number; nil for one that needs no upload
	again     []*Part       // their uploads were ended to be started again
	active    []*Part       // holding a slot
	transfers []transfer    // memory of endStraggler
	ending    []func()      // end uploads; to be called without the lock
	resting   int           // parts that gave up their slot to back off
	returning []*returning  // of those resting, whose wait is over
	uploaders int           // started
	offered   bool          // nothing more is offered
	closed    bool          // admitted is
	acked     int           // parts acknowledged
	latency   time.Duration // until the first byte of an attempt, the shortest
	moved     int64         // bytes that parts have moved that hold no slot any more
}

// returning is a part that waits for a slot after a backoff.
type returning struct {
	part *Part
	turn chan struct{} // closed when it has one
}

func newQueue(n int, adaptive bool, start func()) *queue {
	return &queue{
		admitted: make(chan *Part, n),
		start:    start,
		began:    time.Now(),
		changed:  make(chan struct{}, 1),
		limiter:  newLimiter(n, adaptive),
		next:     1,
		latency:  never,
		ready:    map[int]*Part{},
	}
}

func (q *queue) allowed() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limiter.limit
}

func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.room()
}

func (q *queue) room() bool {
	return len(q.active) < q.limiter.limit && len(q.active)+q.resting < q.limiter.max
}

func (q *queue) offer(p *Part) {
	q.mu.Lock()
	defer q.dispatch()
	q.ready[p.Number] = p
}

// skip lets the parts after number go before it: it needs no upload.
func (q *queue) skip(number int) {
	q.mu.Lock()
	defer q.dispatch()
	q.ready[number] = nil
}

// end is called when every part has been offered or skipped.
func (q *queue) end() {
	q.mu.Lock()
	defer q.dispatch()
	q.offered = true
}

// done ends the upload of p, which gives up its slot.
func (q *queue) done(p *Part, acknowledged bool) {
	q.mu.Lock()
	defer q.dispatch()
	q.leave(p, acknowledged)
	if acknowledged {
		q.acked++
		q.pace.record(p.Size, p.since)
		q.limiter.acknowledged()
	}
}

// dispatch is called with the lock after every change. It inspects the uploads
// and releases the queue.
func (q *queue) dispatch() {
	q.admit()
	if due := q.inspect(); due < q.due {
		q.due = due
		q.wake()
	}
	q.release()
}

// release admits the parts that may run now, unlocks, and does what runs code
// that is not the queue's: it starts the uploaders that are missing, and ends
// the uploads that were cut off.
func (q *queue) release() {
	q.admit()
	missing := max(0, len(q.active)+q.resting-q.uploaders)
	q.uploaders += missing
	ending := q.ending
	q.ending = nil
	if q.limiter.limit > q.before {
		select {
		case q.grown <- struct{}{}:
		default:
		}
	}
	q.before = q.limiter.limit
	q.mu.Unlock()
	for range missing {
		q.start()
	}
	for _, end := range ending {
		end()
	}
}

// admit gives the free slots to the next parts, and closes admitted after the
// last one.
func (q *queue) admit() {
	for len(q.returning) > 0 && len(q.active) < q.limiter.limit {
		q.resume(slices.MinFunc(q.returning, func(a, b *returning) int { return cmp.Compare(a.part.Number, b.part.Number) }))
	}
	for q.room() && len(q.again) > 0 {
		first := slices.MinFunc(q.again, func(a, b *Part) int { return cmp.Compare(a.Number, b.Number) })
		q.again = slices.DeleteFunc(q.again, func(p *Part) bool { return p == first })
		q.enter(first)
		q.admitted <- first
	}
	for q.room() {
		p, ok := q.ready[q.next]
		if !ok {
			break
		}
		delete(q.ready, q.next)
		q.next++
		if p == nil {
			continue
		}
		q.enter(p)
		q.admitted <- p
	}
	if q.offered && !q.closed && len(q.ready)+len(q.again)+len(q.active)+q.resting == 0 {
		q.closed = true
		close(q.admitted)
		q.wake()
	}
}

// enter gives p a slot. What it moved when it had one before counts as its own
// again.
func (q *queue) enter(p *Part) {
	q.moved -= p.moved(false)
	p.epoch, p.since = q.limiter.epoch, time.Now()
	p.begin()
	q.active = append(q.active, p)
}

// leave takes the slot of p, whose upload is over for now.
func (q *queue) leave(p *Part, finished bool) {
	q.moved += p.moved(finished)
	i := slices.Index(q.active, p)
	q.active = slices.Delete(q.active, i, i+1)
}

// inspectEvery is how often the uploads are inspected at most.
const inspectEvery = 10 * time.Millisecond

// inspect shows the limiter the uploads, ends those that are better started
// again, and returns when to look next. It does nothing if it has done so just
// before.
func (q *queue) inspect() time.Duration {
	now := time.Since(q.began)
	if next := q.inspected + inspectEvery; q.inspected > 0 && now < next {
		return next
	}
	q.inspected = now
	s := q.sample()
	due := q.limiter.observe(s)
	if q.limiter.shed {
		q.limiter.shed = false
		q.shed(s.part)
	}
	return min(due, s.at+q.endStraggler())
}

// shed ends the uploads over the limit that have only begun, the latest first.
// part is the size of the largest.
func (q *queue) shed(part int64) {
	over := len(q.active) - q.limiter.limit
	for i := len(q.active) - 1; i >= 0 && over > 0; i-- {
		p := q.active[i]
		if moved := p.moved(false); p.cut != nil && moved <= part/8 && moved <= p.Size/2 {
			q.cutOff(p, errShed)
			over--
		}
	}
}

// Why an upload was ended to be started again.
var (
	errShed      = errors.New("put back, because fewer uploads at once are as fast")
	errStraggler = errors.New("far slower than other uploads, starting again")
)

// cutOff has release end the upload of p, which waits for a slot again then.
func (q *queue) cutOff(p *Part, why error) {
	if p.cut != nil {
		q.ending = append(q.ending, p.cut)
		p.cut, p.ended = nil, why
	}
}

// sending lets the upload of p be ended by cut, until it returns.
func (q *queue) sending(p *Part, cut context.CancelFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.cut, p.ended = cut, nil
}

// returned is called when the call that uploads p has returned. It returns why
// the call was ended to be started again, nil if it was not. The function that
// ends it may not have been called yet.
func (q *queue) returned(p *Part) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.cut = nil
	return p.ended
}

// takeBack has p, whose upload was ended, wait for a slot again.
func (q *queue) takeBack(p *Part) {
	q.mu.Lock()
	defer q.dispatch()
	q.leave(p, false)
	q.again = append(q.again, p)
}

// left takes back the parts that no uploader took.
func (q *queue) left() []*Part {
	q.mu.Lock()
	defer q.mu.Unlock()
	parts := q.again
	q.again = nil
	for _, p := range q.ready {
		if p != nil {
			parts = append(parts, p)
		}
	}
	clear(q.ready)
	for {
		select {
		case p, ok := <-q.admitted:
			if ok {
				q.leave(p, false)
				parts = append(parts, p)
				continue
			}
		default:
		}
		return parts
	}
}

func (q *queue) pause(p *Part, wait time.Duration) {
	q.mu.Lock()
	defer q.dispatch()
	p.since = time.Now().Add(wait)
}

// rest gives up the slot of p, whose attempt met congestion, and waits until
// the next attempt may begin: for wait, and until there is a slot. If ctx ends
// before, its error is returned, and p has a slot all the same.
func (q *queue) rest(ctx context.Context, p *Part, wait time.Duration) error {
	q.reject(p)
	_ = sleep.For(ctx, wait)
	r := q.comeBack(p)
	select {
	case <-r.turn:
	case <-ctx.Done():
		q.hurry(r)
	}
	return ctx.Err()
}

// reject takes the slot of p, whose attempt met congestion.
func (q *queue) reject(p *Part) {
	q.mu.Lock()
	defer q.dispatch()
	q.leave(p, false)
	q.resting++
	p.rejections++
	q.limiter.congested(p.epoch, p.rejections)
}

func (q *queue) comeBack(p *Part) *returning {
	q.mu.Lock()
	defer q.dispatch()
	r := &returning{p, make(chan struct{})}
	q.returning = append(q.returning, r)
	return r
}

func (q *queue) hurry(r *returning) {
	q.mu.Lock()
	defer q.dispatch()
	if slices.Contains(q.returning, r) {
		q.resume(r)
	}
}

func (q *queue) resume(r *returning) {
	q.returning = slices.DeleteFunc(q.returning, func(other *returning) bool { return other == r })
	q.resting--
	q.enter(r.part)
	close(r.turn)
}

func (q *queue) sample() sample {
	s := sample{at: q.inspected, moved: q.moved, acked: q.acked, running: len(q.active)}
	for _, p := range q.active {
		n, edge := p.progress()
		s.moved += n
		if edge {
			s.edges++
		}
		s.part = max(s.part, p.Size)
	}
	s.latency = q.latency
	p, ok := q.ready[q.next]
	s.waiting = ok && p != nil || len(q.again) > 0
	return s
}

// arrived reports that the first byte of an attempt has come after that time.
func (q *queue) arrived(after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.latency = min(q.latency, after)
}

func (q *queue) wake() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// watch inspects the uploads whenever that is due, until the last one has ended
// or ctx has.
func (q *queue) watch(ctx context.Context) {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		wait, closed := q.look()
		if closed {
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-q.changed:
		case <-ctx.Done():
			return
		}
	}
}

// look inspects the uploads, and returns how long that can wait the next time. It
// reports whether there will be no more uploads.
func (q *queue) look() (wait time.Duration, closed bool) {
	q.mu.Lock()
	defer q.release()
	q.due = q.inspect()
	return max(q.due-time.Since(q.began), time.Millisecond), q.closed
}
