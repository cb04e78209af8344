package localserver

import (
	"sync"
	"time"
)

// Clock is a server's time, which a test can move on. It may be used
// concurrently.
type Clock struct {
	Base func() time.Time // what Advance adds to

	mu       sync.Mutex
	advanced time.Duration
}

// Now is the server's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Base().Add(c.advanced)
}

// Advance moves the clock on by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advanced += d
}
