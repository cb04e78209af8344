package sluice

import (
	"context"
	"slices"
	"sync"
	"time"
)

// This file hedges. Once the source has ended, one upload that is far slower than the others decides how long the
// stream takes, and the others have nothing to do. A watchdog does not see it: its bytes move. So such a part is sent a
// second time, where Limits.Repeatable says that this is safe.
//
// The rule is that of docs/decisions/0003-hedging.md: every part is let in, an upload is idle, and the part's attempt
// has been under way for twice the usual time. A part is sent twice at most. The first of the two calls to be
// acknowledged ends the other. The part's uploader joins both, so that to all the rest it is one part.

const (
	// usualOf is how many acknowledged parts the usual time is learned from: the last ones, because lines change.
	usualOf = 32
	// leastKnown is how many there must be. Of three the one in the middle is no straggler if only one is.
	leastKnown = 3
	// leastLate is how late the last attempt of all has to be: a second one has to fetch a URL and to open a connection,
	// and what is over in less needs no help. It also covers what a request costs whatever its size.
	leastLate = time.Second
)

// hedger knows what is under way and what is usual.
type hedger struct {
	wake chan struct{} // capacity 1: a token if something has changed

	mu      sync.Mutex
	senders []*sender
	paces   [usualOf]float64 // nanoseconds a byte, of the last parts acknowledged
	known   int              // parts that have been filed in paces
}

// sender is the uploads of one uploader, one after the other.
type sender struct {
	pipeline *pipeline
	// ctx is of its calls, and ends with the group's. A hedge that was faster ends it before; should a part follow,
	// which is rare because there is no hedge before every part is let in, it gets another. So no part needs a context
	// of its own.
	ctx    context.Context
	cancel context.CancelFunc

	// The rest is under the hedger's lock.
	part  *Part  // under way, nil between parts
	hedge *hedge // of that part, nil if there is none
}

// hedge is the second call for a part.
type hedge struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has returned; what follows stands then

	acknowledged bool
	receipt      Receipt
}

func newHedger() *hedger { return &hedger{wake: make(chan struct{}, 1)} }

// changed wakes up who hedges. It waits for nobody.
func (h *hedger) changed() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// newSender is an uploader's.
func (u *pipeline) newSender() *sender {
	s := &sender{pipeline: u}
	s.renew()
	u.hedges.mu.Lock()
	defer u.hedges.mu.Unlock()
	u.hedges.senders = append(u.hedges.senders, s)
	return s
}

func (s *sender) renew() { s.ctx, s.cancel = context.WithCancel(s.pipeline.ctx) }

// upload is UploadPart, by a call or by its hedge. When it returns nobody reads p for an upload any more.
func (s *sender) upload(p *Part) (r Receipt, err error) {
	h := s.pipeline.hedges
	p.tried.from(time.Now())
	if s.ctx.Err() != nil {
		s.renew()
	}
	h.mu.Lock()
	s.part = p
	h.mu.Unlock()
	h.changed()
	err = errNotReturned
	defer func() { r, err = s.join(r, err) }()
	return s.pipeline.file.large.UploadPart(s.ctx, p)
}

// join ends what upload began with the outcome of the first call, and waits for the second if there is one. If both are
// acknowledged, either receipt will do: Limits.Repeatable says so.
func (s *sender) join(r Receipt, err error) (Receipt, error) {
	h := s.pipeline.hedges
	h.mu.Lock()
	p, second := s.part, s.hedge
	s.part, s.hedge = nil, nil
	if second == nil && err == nil {
		h.learn(p.Size, p.tried.underWay())
	}
	h.mu.Unlock()
	if second == nil {
		return r, err
	}
	if err == nil {
		second.cancel()
	}
	<-second.done
	if err != nil && second.acknowledged {
		return second.receipt, nil
	}
	return r, err
}

// learn files how long a part took. With the lock held.
func (h *hedger) learn(size int64, took time.Duration) {
	h.paces[h.known%usualOf] = float64(took) / float64(max(size, 1))
	h.known++
}

// late is how long an attempt at size bytes is under way when it is hedged: twice the median of what parts of that size
// take. It is never as long as too little is known. With the lock held.
func (h *hedger) late(size int64) time.Duration {
	if h.known < leastKnown {
		return never
	}
	paces := h.paces
	known := paces[:min(h.known, usualOf)]
	slices.Sort(known)
	return max(leastLate, time.Duration(min(2*known[len(known)/2]*float64(size), float64(never))))
}

// never is when a timer fires that does not: in 146 years.
const never = time.Duration(1 << 62)

// hedgeStragglers hedges until the group has ended. It runs from the end of the source.
func (u *pipeline) hedgeStragglers() {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for u.ctx.Err() == nil {
		timer.Reset(u.hedgeWhoIsLate())
		select {
		case <-u.hedges.wake:
		case <-timer.C:
		case <-u.ctx.Done():
		}
	}
}

// hedgeWhoIsLate hedges the parts that are late, as far as uploads are idle, and returns when the next one will be. One
// for which there is no room is looked at again when an upload ends.
func (u *pipeline) hedgeWhoIsLate() time.Duration {
	h := u.hedges
	h.mu.Lock()
	defer h.mu.Unlock()
	next := never
	for _, s := range h.senders {
		if s.part == nil || s.hedge != nil {
			continue
		}
		if left := h.late(s.part.Size) - s.part.tried.underWay(); left > 0 {
			next = min(next, left)
		} else if u.uploads.enterAfter(u.last) {
			u.hedge(s)
		}
	}
	return next
}

// hedge sends the part of s a second time. With the hedger's lock held, so that its uploader is still there to join it.
func (u *pipeline) hedge(s *sender) {
	p := s.part
	ctx, cancel := context.WithCancel(u.ctx)
	second := &hedge{cancel: cancel, done: make(chan struct{})}
	s.hedge = second
	u.group.Go(func() error {
		defer close(second.done)
		defer cancel()
		defer u.leave(false) // no word on how many uploads the store takes
		u.meter.hedging(p)
		if r, err := u.file.large.UploadPart(ctx, p); err == nil {
			second.acknowledged, second.receipt = true, r
			s.cancel()
		}
		return nil // it was only a hedge
	})
}
