// Package simnet simulates networks between a writer and a store in virtual
// time: a bottleneck that all connections share, a cap for each connection,
// latency, slow start, socket buffers, connections that break, and a store that
// rejects more uploads than it wants. A [Store] carries no data, so simulated
// hours take milliseconds; [Link.Dial] puts the same network under real HTTP
// clients and servers. It is for tests, which run it in a testing/synctest
// bubble.
package simnet

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// Network describes a network. Zero fields mean no limit.
type Network struct {
	Shared  float64       // bytes per second that all connections share
	PerConn float64       // bytes per second of one connection
	RTT     time.Duration // round trip time
	Buffer  int64         // bytes that a socket's send buffer takes
	// bytes that a new connection has in flight at first; slow start doubles
	// them each round trip
	Packets int64

	BreakEvery int // attempts, of which one breaks half-way; 0 for none
	BusyEvery  int // attempts, of which one is answered with 503; 0 for none
	MaxUploads int // uploads that the store takes at once; it answers others with 503
}

// Link carries the bytes of all connections: each active one gets an equal
// share of the bottleneck, unless its own cap is less.
type Link struct {
	Network
	mu      sync.Mutex
	flows   []*flow // with bytes on their way
	last    time.Time
	timer   *time.Timer
	carried float64 // bytes delivered
	idle    []*flow // connections that can be used again
}

// flow is one connection.
type flow struct {
	link   *Link
	opened time.Time
	queued float64 // bytes in the socket's buffer
	rate   float64 // bytes per second now
	// the writer waits until at most so many bytes are queued; negative: it
	// does not wait
	waiting float64
	ready   chan struct{}
}

// NewLink returns a link of that network. It must be closed.
func NewLink(n Network) *Link {
	l := &Link{Network: n, last: time.Now()}
	l.timer = time.AfterFunc(math.MaxInt64, l.tick)
	return l
}

// Close ends the simulation.
func (l *Link) Close() { l.timer.Stop() }

// Carried returns the bytes that the link has carried, those of broken attempts
// included.
func (l *Link) Carried() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	return int64(l.carried)
}

// dial returns a connection, after the handshakes if it is a new one.
func (l *Link) dial(ctx context.Context) (*flow, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		f := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return f, nil
	}
	l.mu.Unlock()
	if err := wait(ctx, 2*l.RTT); err != nil {
		return nil, err
	}
	return l.open(), nil
}

func (l *Link) open() *flow {
	return &flow{link: l, opened: time.Now(), waiting: -1, ready: make(chan struct{}, 1)}
}

// release keeps the connection for the next request.
func (l *Link) release(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, f)
}

// send writes n bytes and returns once the buffer has taken them; with all it
// returns once they have been carried.
func (f *flow) send(ctx context.Context, n int64, all bool) error {
	l := f.link
	l.mu.Lock()
	l.advance()
	f.queued += float64(n)
	if !slices.Contains(l.flows, f) {
		l.flows = append(l.flows, f)
	}
	f.waiting = float64(l.Buffer)
	if all {
		f.waiting = 0
	}
	done := f.queued <= f.waiting
	if done {
		f.waiting = -1
	}
	l.plan()
	l.mu.Unlock()
	if done {
		return ctx.Err()
	}
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
		f.close()
		return ctx.Err()
	}
}

// close ends a connection, with what is in its buffer.
func (f *flow) close() {
	l := f.link
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	l.drop(f)
	l.plan()
}

func (l *Link) drop(f *flow) {
	f.queued, f.waiting = 0, -1
	select {
	case <-f.ready:
	default:
	}
	l.flows = slices.DeleteFunc(l.flows, func(o *flow) bool { return o == f })
}

// advance carries bytes up to now.
func (l *Link) advance() {
	now := time.Now()
	took := now.Sub(l.last).Seconds()
	l.last = now
	for _, f := range l.flows {
		n := min(f.queued, f.rate*took)
		f.queued -= n
		l.carried += n
		if f.queued < 1e-3 {
			f.queued = 0
		}
	}
}

// plan wakes the writers that need not wait any more, shares the bottleneck
// among the connections, and sets the timer to when that changes.
func (l *Link) plan() {
	for _, f := range l.flows {
		if f.waiting >= 0 && f.queued <= f.waiting+1e-3 {
			f.waiting = -1
			select {
			case f.ready <- struct{}{}:
			default:
			}
		}
	}
	l.flows = slices.DeleteFunc(l.flows, func(f *flow) bool { return f.queued == 0 })
	slices.SortStableFunc(l.flows, func(a, b *flow) int { return compare(a.cap(), b.cap()) })
	left := l.Shared
	if left == 0 {
		left = math.Inf(1)
	}
	next := time.Duration(math.MaxInt64)
	for i, f := range l.flows {
		f.rate = min(f.cap(), left/float64(len(l.flows)-i))
		left -= f.rate
		need := f.queued
		if f.waiting >= 0 {
			need -= f.waiting
		}
		next = min(next, seconds(need/f.rate))
		if age := time.Since(f.opened); f.slow() {
			next = min(next, l.RTT-age%l.RTT)
		}
	}
	l.timer.Reset(next)
}

func (l *Link) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	l.plan()
}

// cap is the most that one connection carries now.
func (f *flow) cap() float64 {
	most := f.link.PerConn
	if most == 0 {
		most = 1e15
	}
	if f.link.Packets == 0 || f.link.RTT == 0 {
		return most
	}
	trips := min(40, int(time.Since(f.opened)/f.link.RTT))
	return min(most, float64(f.link.Packets)/f.link.RTT.Seconds()*math.Pow(2, float64(trips)))
}

// slow reports whether f is in slow start.
func (f *flow) slow() bool {
	return f.link.Packets > 0 && f.link.RTT > 0 && f.cap() < f.link.limit() && time.Since(f.opened) < 40*f.link.RTT
}

func (l *Link) limit() float64 {
	switch {
	case l.PerConn > 0:
		return l.PerConn
	case l.Shared > 0:
		return l.Shared
	default:
		return 1e15
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// seconds is s rounded up, so that what is due has been carried by then.
func seconds(s float64) time.Duration {
	if s > 1e9 {
		return math.MaxInt64
	}
	return time.Duration(math.Ceil(s*1e9)) + 1
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errBroken is what a connection that breaks fails with.
var errBroken = errors.New("connection reset by peer")
