package simnet

import (
	"context"
	"net"
	"sync"
)

// Dialer is the DialContext of an http.Transport.
type Dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// Dial returns a dialer whose connections are those of dial, behind the link:
// what the client writes takes the time that the network needs, and an answer
// is seen a round trip after the last byte before it has arrived.
func (l *Link) Dial(dial Dialer) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := wait(ctx, 2*l.RTT); err != nil {
			return nil, err
		}
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open, end := context.WithCancel(context.Background())
		return &conn{Conn: c, flow: l.open(), turn: make(chan struct{}, 1), open: open, end: end}, nil
	}
}

// conn is the client's end of a connection.
type conn struct {
	net.Conn
	flow *flow
	turn chan struct{} // capacity 1: held by the one Read or Write that waits for the link
	open context.Context
	end  context.CancelFunc
	once sync.Once

	asked bool // something was written since the last answer; held by turn
}

func (c *conn) Write(p []byte) (int, error) {
	c.turn <- struct{}{}
	c.asked = true
	err := c.flow.send(c.open, int64(len(p)), false)
	<-c.turn
	if err != nil {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.asked {
		c.asked = false
		if c.flow.send(c.open, 0, true) != nil || wait(c.open, c.flow.link.RTT) != nil {
			return 0, net.ErrClosed
		}
	}
	return n, err
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.end()
		c.flow.close()
	})
	return c.Conn.Close()
}
