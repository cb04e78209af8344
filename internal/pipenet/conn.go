package pipenet

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Break is one connection that fails at a byte. Exactly the bytes before it pass.
type Break struct {
	// Dial is the number of the connection, from 1.
	Dial int
	// Answer says that the bytes are counted from the server to the client, else the other way.
	Answer bool
	// After is how many bytes pass.
	After int64
	// Stall says that the connection then carries no byte any more; else it is reset.
	Stall bool

	fired atomic.Bool
}

// Fired tells whether the byte came.
func (b *Break) Fired() bool { return b.fired.Load() }

// conn is the client's end of a connection.
type conn struct {
	net.Conn
	network *Network
	far     net.Conn
	fault   *Break // nil for most

	sent, received int64 // each used by one goroutine at a time, as net/http does

	once   sync.Once
	closed chan struct{}
}

// Write sends what may pass of q.
func (c *conn) Write(q []byte) (int, error) {
	if !c.network.pass(c.closed) {
		return 0, c.broken("write")
	}
	if c.fault == nil || c.fault.Answer || c.sent+int64(len(q)) <= c.fault.After {
		n, err := c.Conn.Write(q)
		c.sent += int64(n)
		return n, err
	}
	n, err := c.Conn.Write(q[:c.fault.After-c.sent])
	c.sent += int64(n)
	if err != nil {
		return n, err
	}
	return n, c.fail("write")
}

// Read receives. A break at a byte happens when that byte has come.
func (c *conn) Read(q []byte) (int, error) {
	if c.fault == nil || !c.fault.Answer {
		n, err := c.Conn.Read(q)
		if err == nil && !c.network.pass(c.closed) {
			return 0, c.broken("read")
		}
		return n, err
	}
	left := c.fault.After - c.received
	if left == 0 {
		if _, err := c.Conn.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
		return 0, c.fail("read")
	}
	n, err := c.Conn.Read(q[:min(int64(len(q)), left)])
	c.received += int64(n)
	return n, err
}

// fail does what the fault says.
func (c *conn) fail(op string) error {
	c.fault.fired.Store(true)
	if c.fault.Stall {
		<-c.closed
	} else {
		_ = c.Close()
	}
	return c.broken(op)
}

func (c *conn) broken(op string) error {
	return &net.OpError{Op: op, Net: "pipe", Addr: c.RemoteAddr(), Err: syscall.ECONNRESET}
}

// Close breaks both ends.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.network.mu.Lock()
		delete(c.network.conns, c)
		c.network.mu.Unlock()
		_ = c.far.Close()
	})
	return c.Conn.Close()
}
