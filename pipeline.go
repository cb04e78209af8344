package sluice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// pipeline runs the goroutines of an upload at three stages: those that hash the
// parts handed over, in any order; those that upload what the queue admits by
// number; and one that digests the stream in order. One more opens the large
// file, and one watches the uploads.
//
// The first failure, or the end of the caller's context, ends ctx. Then all
// goroutines end, and the pages of all parts handed over are given back: each
// goroutine gives back what waits in the queues when it ends, so that nothing
// remains that the last one has put there.
type pipeline struct {
	backend Backend
	plan    *plan
	account *account
	meter   *meter
	fail    func(*Error) error // ends ctx with the error as its cause, unless it has ended

	workers
	stages

	last        int          // number of the part handed over last; by the writer's turn only
	outstanding atomic.Int32 // parts that have been handed over and are not done
	free        chan *Part   // spent parts, to be used again

	queue *queue
	store largeFile
}

type workers struct {
	ctx     context.Context // the stream's
	group   sync.WaitGroup
	watched bool // the watch is started; a stream that starts anew keeps it
	waited  bool
}

// stages are what parts pass on their way to the queue.
type stages struct {
	hashing   *stage
	digesting *stage  // nil if no digest of the stream was asked for
	whole     hashers // of the stream
}

// stage is a queue of parts and the few goroutines that work on them.
type stage struct {
	queue   chan *Part
	work    func() // takes parts until there are none, and gives back what waits
	most    int    // goroutines that work
	started int    // of these; by the writer's turn only
	working sync.WaitGroup
}

// take waits for the next part. It returns nil when there are no more, or ctx
// has ended.
func (s *stage) take(ctx context.Context) *Part {
	select {
	case p := <-s.queue:
		return p
	case <-ctx.Done():
		return nil
	}
}

func (s *stage) poll() *Part {
	select {
	case p := <-s.queue:
		return p
	default:
		return nil
	}
}

// largeFile is the large file, once it is open, and what it has received.
type largeFile struct {
	begun    bool          // opening has begun; by the writer's turn only
	done     chan struct{} // closed when large is set, or opening has failed
	large    LargeFile
	receipts receipts
}

func newPipeline(ctx context.Context, b Backend, p *plan, a *account, m *meter, asked []Algorithm, fail func(*Error) error) *pipeline {
	ahead := min(p.pool.pages, 1024) // more parts than are ever in memory, or plenty
	u := &pipeline{
		backend: b,
		plan:    p,
		account: a,
		meter:   m,
		fail:    fail,
		workers: workers{ctx: ctx},
		free:    make(chan *Part, ahead),
		store:   largeFile{done: make(chan struct{})},
	}
	u.queue = newQueue(min(p.settings.Concurrency, p.pool.pages), p.adaptive, func() { u.group.Go(u.uploadParts) })
	if p.rate != nil {
		u.queue.limiter.cap = float64(p.rate.perSecond)
	}
	u.hashing = &stage{queue: make(chan *Part, ahead), work: u.hashParts, most: mostHashers(newHashers(p.limits.PartDigests))}
	u.whole = newHashers(asked, p.limits.WholeDigests)
	if len(u.whole) > 0 {
		u.digesting = &stage{queue: make(chan *Part, ahead), work: u.digestStream, most: 1}
	}
	if p.resumed != nil {
		u.store.large = p.resumed.large
		close(u.store.done)
		m.hooks.LargeFileStarted(u.store.large.Info())
	}
	return u
}

// newPart returns an empty part, one used before if there is one.
func (u *pipeline) newPart() *Part {
	select {
	case p := <-u.free:
		return p
	default:
		pool := u.plan.pool
		return &Part{meter: u.meter, queue: u.queue, rate: u.plan.rate, held: held{size: int64(pool.pageSize), buffer: pool.buffer}}
	}
}

// drop gives up one reference to p. The last one gives back the pages: there is no other place.
func (u *pipeline) drop(p *Part) {
	if p.refs.Add(-1) > 0 {
		return
	}
	if len(p.pages) > 0 {
		u.account.release(p.pages, p.claimed)
	}
	p.reset()
	select {
	case u.free <- p:
	default:
	}
}

// begin starts what a stream of more than one part needs: the large file, once,
// on a goroutine of its own, and the limiter's watch.
func (u *pipeline) begin() {
	if u.store.begun {
		return
	}
	u.store.begun = true
	if !u.watched {
		u.watched = true
		u.group.Go(u.watch)
	}
	if u.store.large == nil {
		u.group.Go(u.start)
	}
}

func (u *pipeline) watch() {
	defer u.giveBack()
	u.queue.watch(u.ctx)
}

func (u *pipeline) start() {
	defer u.giveBack()
	failed := errNotReturned
	defer close(u.store.done)
	defer func() { u.failIf("start", nil, failed) }()
	large, err := u.backend.StartLargeFile(u.ctx, u.plan.spec)
	if err == nil {
		u.store.large = large
		u.meter.hooks.LargeFileStarted(large.Info())
		err = u.plan.accepts(large.Info().PartSizes)
	}
	failed = err
}

// failIf makes err, if it is not nil, the stream's failure unless it has one. p
// is nil if err concerns no part. Functions that call hooks or backends have
// errNotReturned as err until they return, so that a call that ends its
// goroutine fails the stream too.
func (u *pipeline) failIf(op string, p *Part, err error) {
	if err != nil {
		_ = u.fail(u.error(op, p, err))
	}
}

// plannedSizes begins the large file and returns the part sizes that the store has planned.
func (u *pipeline) plannedSizes() ([]int64, error) {
	u.begin()
	u.meter.network.begin(u.meter)
	defer u.meter.network.end(u.meter)
	select {
	case <-u.store.done:
	case <-u.ctx.Done():
		return nil, u.ctx.Err()
	}
	if u.store.large == nil || u.ctx.Err() != nil {
		return nil, errors.New("not open")
	}
	return u.store.large.Info().PartSizes, nil
}

// id is the large file's, "" if there is none. It is called after wait.
func (u *pipeline) id() string {
	if u.store.large == nil {
		return ""
	}
	return u.store.large.Info().ID
}

// idleUploads is how many parts more could be sent at once with those that are
// not done, if the limiter allows that.
func (u *pipeline) idleUploads() int {
	return u.plan.settings.Concurrency - int(u.outstanding.Load())
}

// handOver gives the pipeline a part; it is false if the stream has failed. The
// first part opens the large file.
func (u *pipeline) handOver(p *Part) bool {
	u.begin()
	u.last = p.Number
	u.outstanding.Add(1)
	if u.digesting == nil {
		p.refs.Store(1)
		return u.bring(p, u.hashing)
	}
	p.refs.Store(2)
	hashed := u.bring(p, u.hashing)
	return u.bring(p, u.digesting) && hashed
}

// bring puts p into the queue of s, and has one goroutine more work there as
// long as there may be more.
func (u *pipeline) bring(p *Part, s *stage) bool {
	if s.started < s.most {
		s.started++
		s.working.Add(1)
		u.group.Go(func() {
			defer s.working.Done()
			s.work()
		})
	}
	select {
	case s.queue <- p:
	default:
		u.meter.network.begin(u.meter)
		defer u.meter.network.end(u.meter)
		select {
		case s.queue <- p:
		case <-u.ctx.Done():
			u.drop(p)
		}
	}
	u.giveBack() // the goroutines may have ended before p came
	return u.ctx.Err() == nil
}

// wait joins the goroutines. Nothing is handed over after it. A repeat does nothing.
func (u *pipeline) wait() {
	if u.waited {
		return
	}
	u.waited = true
	close(u.hashing.queue)
	if u.digesting != nil {
		close(u.digesting.queue)
	}
	u.hashing.working.Wait()
	u.queue.end()
	u.group.Wait()
}

// giveBack drops the parts that no goroutine has taken, if the pipeline's context
// has ended. Each goroutine of the pipeline defers it.
func (u *pipeline) giveBack() {
	if u.ctx.Err() == nil {
		return
	}
	for p := u.hashing.poll(); p != nil; p = u.hashing.poll() {
		u.drop(p)
	}
	if u.digesting != nil {
		for p := u.digesting.poll(); p != nil; p = u.digesting.poll() {
			u.drop(p)
		}
	}
	for _, p := range u.queue.left() {
		u.done(p)
	}
}

func (u *pipeline) uploadParts() {
	defer u.giveBack()
	select {
	case <-u.store.done:
	case <-u.ctx.Done():
		return
	}
	ctx, cut := context.WithCancel(u.ctx)
	defer func() { cut() }()
	ended := false
	for {
		select {
		case p, ok := <-u.queue.admitted:
			if !ok {
				return
			}
			if ended {
				ctx, cut = context.WithCancel(u.ctx)
			}
			u.queue.sending(p, cut)
			ended = u.uploadPart(ctx, p)
		case <-u.ctx.Done():
			return
		}
	}
}

// uploadPart sends p, compares the store's answer with it and files the
// receipt. It reports whether the queue has ended, or is ending, ctx. An upload
// that failed because of that is queued again.
func (u *pipeline) uploadPart(ctx context.Context, p *Part) (ended bool) {
	failed, again := errNotReturned, false
	defer func() {
		if again {
			return
		}
		u.failIf("upload", p, failed)
		u.queue.done(p, failed == nil)
		u.done(p)
	}()
	if u.ctx.Err() != nil {
		failed = u.ctx.Err() // the stream has another failure
		return false
	}
	if !p.started {
		p.started = true
		u.meter.hooks.PartStarted(p.event())
	}
	r, err := u.store.large.UploadPart(ctx, p)
	why := u.queue.returned(p)
	if err == nil {
		err = agreePart(r, p)
	} else if why != nil && u.ctx.Err() == nil {
		u.meter.restarting(p, why)
		u.queue.takeBack(p)
		again = true
		return true
	}
	if err == nil {
		u.store.receipts.file(p, r.ETag)
		u.meter.acknowledge(p)
	}
	u.meter.hooks.PartDone(p.event(), err)
	failed = err
	return why != nil
}

// reuse files the receipt of a part that the store has from an earlier run.
func (u *pipeline) reuse(p *Part, tag string) {
	failed := errNotReturned
	defer func() {
		u.failIf("upload", p, failed)
		u.done(p)
	}()
	u.queue.skip(p.Number)
	u.meter.hooks.PartStarted(p.event())
	u.store.receipts.file(p, tag)
	u.meter.reused.Add(p.Size)
	u.meter.acknowledge(p)
	u.meter.hooks.PartDone(p.event(), nil)
	failed = nil
}

func (u *pipeline) done(p *Part) {
	u.outstanding.Add(-1)
	u.meter.partsInFlight.Add(-1)
	u.drop(p)
}

func (u *pipeline) error(op string, p *Part, err error) *Error {
	e := &Error{Op: op, Name: u.plan.spec.Name, Err: err}
	if p != nil {
		e.Part, e.Attempts = p.Number, p.tried.number()
	}
	return e
}

func agreePart(r Receipt, p *Part) error {
	if r.Number != 0 && r.Number != p.Number {
		return fmt.Errorf("the store says it received part %d, part %d was sent", r.Number, p.Number)
	}
	return agree("received", r.Size, p.Size, r.Digests, p.Digests)
}
