package sluice

import (
	"slices"
	"time"
)

// pace is what is known of how fast parts are sent: the time that each of the
// last parts took for a byte, and when it began.
type pace struct {
	recent [32]float64 // nanoseconds a byte
	begun  [32]time.Time
	known  int     // parts that were recorded
	median float64 // of recent
}

func (p *pace) record(size int64, begun time.Time) {
	i := p.known % len(p.recent)
	p.recent[i], p.begun[i] = float64(time.Since(begun))/float64(max(size, 1)), begun
	p.known++
	recent := p.recent
	known := recent[:min(p.known, len(recent))]
	slices.Sort(known)
	p.median = known[len(known)/2]
}

// overtaken reports whether two parts that began after then have been
// acknowledged, in at most twice the usual time a byte: the network is as fast
// as before.
func (p *pace) overtaken(then time.Time) bool {
	n := 0
	for i := range min(p.known, len(p.recent)) {
		if p.begun[i].After(then) && p.recent[i] <= 2*p.median {
			n++
		}
	}
	return n >= 2
}

// usual is how long a part of size bytes takes: the median. It is never as long
// as fewer than three parts are known, because of three the one in the middle
// is no straggler if only one is.
func (p *pace) usual(size int64) time.Duration {
	if p.known < 3 {
		return never
	}
	return time.Duration(min(p.median*float64(size), float64(never)))
}

type transfer struct {
	begun time.Time     // its attempt
	age   time.Duration // since then; negative during a backoff
	moved int64         // bytes of the attempt
	size  int64         // bytes of the part
	again bool          // it was ended for being slow before
}

const (
	// straggling is how many times as long as usual a straggler takes.
	straggling = 2
	// leastStraggling is how long an upload is left alone in any case: a second
	// attempt may need a new connection.
	leastStraggling = 5 * time.Second
)

// straggler returns the index of an upload that is better ended and started
// again, -1 if there is none, and after how long to look again.
//
// Such an upload has taken twice as long as usual, and at its pace needs longer
// for the rest than a part usually takes. If half of the uploads are as slow and
// no parts that began later have overtaken it, the network is slow, and none is
// ended. A part is sent again for this reason once at most.
func straggler(transfers []transfer, p *pace) (int, time.Duration) {
	found, slow, next := -1, 0, never
	for i, t := range transfers {
		usual := p.usual(t.size)
		if usual > never/8 || t.age < 0 {
			continue
		}
		// Of its bytes it should have moved age/usual.
		if t.age > leastStraggling/2 && float64(t.moved)*float64(usual)*straggling < float64(t.age)*float64(t.size) {
			slow++
		}
		if t.again {
			continue
		}
		late := max(straggling*usual, leastStraggling)
		if t.moved == t.size { // and how many of its bytes lie in buffers is not known
			late *= 2
		}
		if t.age < late {
			next = min(next, late-t.age)
			continue
		}
		rest := never
		if t.moved > 0 && t.moved < t.size {
			rest = time.Duration(min(float64(t.age)*float64(t.size-t.moved)/float64(t.moved), float64(never)))
		}
		if rest > usual+usual/2 {
			found = i
		} else { // it may stall yet
			next = min(next, max(usual, leastStraggling))
		}
	}
	if found >= 0 && slow > 1 && 2*slow >= len(transfers) && !p.overtaken(transfers[found].begun) {
		return -1, leastStraggling
	}
	return found, next
}

// endStraggler ends the straggler among the uploads, if there is one, and returns
// after how long to look again. It is called with the lock.
func (q *queue) endStraggler() time.Duration {
	q.transfers = q.transfers[:0]
	for _, p := range q.active {
		q.transfers = append(q.transfers, transfer{p.since, time.Since(p.since), p.read(), p.Size, p.slow})
	}
	i, next := straggler(q.transfers, &q.pace)
	if i >= 0 {
		q.active[i].slow = true
		q.cutOff(q.active[i], errStraggler)
	}
	return next
}
