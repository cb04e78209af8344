// Package pipenet is a network in memory: connections are [net.Pipe]s, so that
// HTTP servers and clients run in virtual time, and can be broken at any byte.
// It is for tests.
package pipenet

import (
	"context"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Weather is the state of a network.
type Weather int

// Up carries everything. Refusing refuses new connections, as a host without
// the service does; those there are live on. Silent carries no byte and answers
// no dial, as a cut cable does.
const (
	Up Weather = iota
	Refusing
	Silent
)

// Network is any number of listeners at addresses of its own. The zero value is
// ready. All methods may be called concurrently.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	ports     int
	dials     int
	conns     map[*conn]struct{}
	breaks    []*Break
	weather   Weather
	changed   chan struct{} // closed when the weather changes; nil if nothing waits
}

// Listen is [net.Listen] in this network. Port 0 is a free one.
func (n *Network) Listen(_, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "pipe", Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		n.ports++
		port = strconv.Itoa(n.ports)
	}
	l := &listener{network: n, address: addr(net.JoinHostPort(host, port)), accept: make(chan net.Conn), closed: make(chan struct{})}
	if n.listeners[string(l.address)] != nil {
		return nil, &net.OpError{Op: "listen", Net: "pipe", Addr: l.address, Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners, n.conns = map[string]*listener{}, map[*conn]struct{}{}
	}
	n.listeners[string(l.address)] = l
	return l, nil
}

// Dial connects, as the DialContext of an http.Transport.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Addr: addr(address), Err: err}
	}
	if !n.pass(ctx.Done()) {
		return failed(ctx.Err())
	}
	n.mu.Lock()
	l, weather := n.listeners[address], n.weather
	if l == nil || weather == Refusing {
		n.mu.Unlock()
		return failed(syscall.ECONNREFUSED)
	}
	n.dials++
	near, far := net.Pipe()
	c := &conn{Conn: near, network: n, far: far, closed: make(chan struct{})}
	for _, b := range n.breaks {
		if b.Dial == n.dials {
			c.fault = b
		}
	}
	n.conns[c] = struct{}{}
	n.mu.Unlock()
	select {
	case l.accept <- serverConn{far, l.address}:
		return c, nil
	case <-l.closed:
		_ = c.Close()
		return failed(syscall.ECONNREFUSED)
	case <-ctx.Done():
		_ = c.Close()
		return failed(ctx.Err())
	}
}

// SetWeather changes the state of the network.
func (n *Network) SetWeather(w Weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather = w
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// Reset breaks every connection there is, as a host does that starts anew.
func (n *Network) Reset() {
	n.mu.Lock()
	all := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		all = append(all, c)
	}
	n.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// Inject adds breaks. It must come before the connections they are for.
func (n *Network) Inject(breaks ...*Break) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breaks = append(n.breaks, breaks...)
}

// pass waits while the network is silent; it is false if done came first.
func (n *Network) pass(done <-chan struct{}) bool {
	for {
		n.mu.Lock()
		if n.weather != Silent {
			n.mu.Unlock()
			return true
		}
		if n.changed == nil {
			n.changed = make(chan struct{})
		}
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// listener is one address.
type listener struct {
	network *Network
	address addr
	accept  chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "pipe", Addr: l.address, Err: net.ErrClosed}
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, string(l.address))
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.address }

// addr is a host and a port.
type addr string

func (addr) Network() string  { return "pipe" }
func (a addr) String() string { return string(a) }

// serverConn is the accepted end.
type serverConn struct {
	net.Conn
	address addr
}

func (c serverConn) LocalAddr() net.Addr { return c.address }
