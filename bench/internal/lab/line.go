package lab

import (
	"net"
	"sync"
	"time"
)

// line is the way to a server. Each connection carries so much, and all of them
// together no more than all.
type line struct {
	each, all int64 // bytes per second

	mu  sync.Mutex
	due time.Time // when what all have carried has passed
}

// Waits shorter than a timer keeps are saved up; what a wait took too long is
// made up for, within bounds.
const (
	shortestWait    = time.Millisecond
	connectionGains = 100 * time.Millisecond
	lineGains       = 5 * time.Millisecond
	readAtMost      = 16 << 10 // so that a slow connection moves steadily
)

// listen is net.Listen with the line before it.
func (l *line) listen(network, address string) (net.Listener, error) {
	next, err := net.Listen(network, address)
	return lineListener{next, l}, err
}

type lineListener struct {
	net.Listener
	line *line
}

func (l lineListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &lineConn{Conn: c, line: l.line, due: now, read: now}, nil
}

// lineConn is the server's end of a connection. One goroutine at a time reads it.
type lineConn struct {
	net.Conn
	line *line
	due  time.Time
	read time.Time // when the last read ended
}

// Read holds back what came as the line would.
func (c *lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), readAtMost)])
	now := time.Now()
	defer func() { c.read = time.Now() }()
	if idle := now.Sub(c.read); idle >= shortestWait {
		c.due = c.due.Add(idle) // it gains nothing by that
	}
	c.due = later(c.due, now.Add(-connectionGains)).Add(lasts(n, c.line.each))
	if wait := later(c.due, c.line.pass(n, now)).Sub(now); wait >= shortestWait {
		time.Sleep(wait)
	}
	return n, err
}

// pass says when n bytes more have passed the line.
func (l *line) pass(n int, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = later(l.due, now.Add(-lineGains)).Add(lasts(n, l.all))
	return l.due
}

func lasts(n int, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
