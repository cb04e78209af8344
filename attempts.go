package sluice

import (
	"sync"
	"time"
)

// attempts is what is known of a part's attempts. Two of them run at once if the part is hedged.
type attempts struct {
	mu     sync.Mutex
	made   int
	since  time.Time // when the one under way began, or the next one will
	sent   int64     // the most any of them has read, so that only what is read again counts as resent
	bodies []Body    // made ahead, each used once: a transport may cling to a spent one
}

// bodiesAhead is how many bodies a part makes at once, so that an attempt seldom allocates.
const bodiesAhead = 32

// body is the next attempt's.
func (a *attempts) body() *Body {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	if len(a.bodies) == 0 {
		a.bodies = make([]Body, bodiesAhead)
	}
	b := &a.bodies[0]
	a.bodies = a.bodies[1:]
	return b
}

// reset forgets all but the unused bodies.
func (a *attempts) reset() { a.made, a.since, a.sent = 0, time.Time{}, 0 }

// from says when the attempt under way began, or when the next one will.
func (a *attempts) from(since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = since
}

// underWay is how long the attempt has been going on; below 0 if it is still to begin.
func (a *attempts) underWay() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.since)
}

// number is how many were made.
func (a *attempts) number() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made
}

// read files that one has read up to the offset end of the part, and returns how many of these bytes none had read before.
func (a *attempts) read(end int64) (fresh int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh = max(0, end-a.sent)
	a.sent = max(a.sent, end)
	return fresh
}
