package sluice

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// pipeline is an errgroup of goroutines at three stations: those that hash the parts handed over, in any order; the
// uploaders, which take what the governor lets in by number; and one that digests the stream beside them, in order. One
// more opens the large file.
//
// After the first failure they go on to take parts, only to give back their pages.
type pipeline struct {
	backend Backend
	plan    *plan
	account *account
	meter   *meter
	fail    func(*Error) error // makes an error the stream's failure

	ctx    context.Context // the group's
	group  *errgroup.Group
	waited bool

	hashing   *station // hashes parts
	digesting *station // digests the stream; nil if nobody asked for that
	whole     hashers  // of the stream

	last        int          // number of the part handed over last; by the writer's turn only
	outstanding atomic.Int32 // parts that have been handed over and are not done
	free        chan *Part   // spent parts, to be used again

	uploads  *governor
	hedges   *hedger
	file     opening
	receipts receipts
}

// station is where parts wait for the few goroutines of the group that work there.
type station struct {
	queue   chan *Part
	work    func() error // takes parts from the queue until it is closed
	most    int          // goroutines that work
	started int          // of these; by the writer's turn only
	working sync.WaitGroup
}

// opening is how the large file comes to be open.
type opening struct {
	begun bool          // by the writer's turn only
	done  chan struct{} // closed when large stands, or opening has failed
	large LargeFile
}

func newPipeline(ctx context.Context, b Backend, p *plan, a *account, m *meter, asked []Algorithm, fail func(*Error) error) *pipeline {
	ahead := min(p.pool.pages, 1024) // more parts than are ever in memory, or plenty
	u := &pipeline{
		backend: b,
		plan:    p,
		account: a,
		meter:   m,
		fail:    fail,
		hedges:  newHedger(),
		whole:   newHashers(asked, p.limits.WholeDigests),
		free:    make(chan *Part, ahead),
		file:    opening{done: make(chan struct{})},
	}
	u.uploads = newGovernor(min(p.settings.Concurrency, p.pool.pages), p.follows, func() { u.group.Go(u.upload) })
	u.hashing = &station{queue: make(chan *Part, ahead), work: u.hashParts, most: mostHashers(p.limits.PartDigests)}
	if len(u.whole) > 0 {
		u.digesting = &station{queue: make(chan *Part, ahead), work: u.digestStream, most: 1}
	}
	u.group, u.ctx = errgroup.WithContext(ctx)
	if p.resumed != nil {
		u.file.begun, u.file.large = true, p.resumed.large
		close(u.file.done)
		m.hooks.largeFileStarted(u.file.large.Info())
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
		return &Part{meter: u.meter, uploads: u.uploads, held: held{size: int64(pool.pageSize), buffer: pool.buffer}}
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

// open starts the large file, once, on a goroutine of the group.
func (u *pipeline) open() {
	if u.file.begun {
		return
	}
	u.file.begun = true
	u.group.Go(func() error {
		defer close(u.file.done)
		return u.guard("start", nil, u.start)
	})
}

func (u *pipeline) start() error {
	large, err := u.backend.StartLargeFile(u.ctx, u.plan.spec)
	if err != nil {
		return err
	}
	u.file.large = large
	u.meter.hooks.largeFileStarted(large.Info())
	return u.plan.accepts(large.Info().Plan)
}

// guard runs what may fail, of the part p or of the stream if p is nil. An error fails the stream, and so does a call of
// others' code that ends the goroutine.
func (u *pipeline) guard(op string, p *Part, run func() error) (err error) {
	err = errNotReturned
	defer func() {
		if err != nil {
			err = u.fail(u.error(op, p, err))
		}
	}()
	return run()
}

// plannedSizes opens the large file and returns the part sizes that the store has planned.
func (u *pipeline) plannedSizes() ([]int64, error) {
	u.open()
	u.meter.network.begin(u.meter)
	defer u.meter.network.end(u.meter)
	select {
	case <-u.file.done:
	case <-u.ctx.Done():
		return nil, u.ctx.Err()
	}
	if u.file.large == nil || u.ctx.Err() != nil {
		return nil, errors.New("not open")
	}
	return u.file.large.Info().Plan, nil
}

// id is the large file's, "" if there is none. It is called after wait.
func (u *pipeline) id() string {
	if u.file.large == nil {
		return ""
	}
	return u.file.large.Info().ID
}

// idleUploads is how many parts more could be sent at once with those that are not done.
func (u *pipeline) idleUploads() int { return u.uploads.allowed() - int(u.outstanding.Load()) }

// handOver gives the pipeline a part; it is false if the stream has failed. The first part opens the
// large file.
func (u *pipeline) handOver(p *Part) bool {
	u.open()
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

// bring puts p into the queue of s, and has one goroutine more work there as long as there may be more.
func (u *pipeline) bring(p *Part, s *station) bool {
	if s.started < s.most {
		s.started++
		s.working.Add(1)
		u.group.Go(func() error {
			defer s.working.Done()
			return s.work()
		})
	}
	select {
	case s.queue <- p:
		return true
	default:
	}
	u.meter.network.begin(u.meter)
	defer u.meter.network.end(u.meter)
	select {
	case s.queue <- p:
		return true
	case <-u.ctx.Done():
		u.drop(p)
		return false
	}
}

// wait joins the goroutines. Nothing is handed over after it. A repeat does nothing.
func (u *pipeline) wait() {
	if u.waited {
		return
	}
	u.waited = true
	for _, s := range u.stations() {
		close(s.queue)
	}
	u.hashing.working.Wait()
	u.uploads.end()
	var hedging sync.WaitGroup
	if u.last > 0 && u.plan.limits.Repeatable {
		hedging.Go(u.hedgeStragglers)
	}
	_ = u.group.Wait() // fail has filed the error
	hedging.Wait()     // the group's ctx has ended
	// If goroutines were ended from outside, nobody has taken these.
	for _, s := range u.stations() {
		for p := range s.queue {
			u.drop(p)
		}
	}
	for _, p := range u.uploads.left() {
		u.done(p)
	}
}

func (u *pipeline) stations() []*station {
	if u.digesting == nil {
		return []*station{u.hashing}
	}
	return []*station{u.hashing, u.digesting}
}
