package b2test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// host is one of the endpoints of the service; each has a listener of its own.
type host int

const (
	authorizeHost host = iota
	apiHost
	uploadHost
	downloadHost
	hostCount
)

func (h host) String() string {
	return [...]string{"authorize", "api", "upload", "download"}[h]
}

// Server is a B2 service for tests. All methods are safe for concurrent use. It must be closed.
type Server struct {
	opts        Options
	calls       map[string]call
	account     string
	first       Key             // made at start
	bucketID    string          // made at start
	certificate tls.Certificate // with Options.TLS
	urls        [hostCount]string
	buffers     sync.Pool // *[]byte of bodySlice bytes, for bodies that are not kept
	endpoints   *localserver.Endpoints
	clock       localserver.Clock
	faults      localserver.Script[Fault]

	mu sync.Mutex // guards all below
	holdings
	testModes int
	ledger    ledger
}

// NewServer starts a server; opts may be nil. Like httptest.NewServer it panics
// where it cannot listen; [Start] returns that as an error.
func NewServer(opts *Options) *Server {
	s, err := Start(opts)
	if err != nil {
		panic(err)
	}
	return s
}

// Start starts a server; opts may be nil. The error names an option out of
// range, or an address that is taken.
func Start(opts *Options) (*Server, error) {
	resolved, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:      resolved,
		calls:     callTable(),
		account:   randomHex(12),
		endpoints: localserver.NewEndpoints(),
		clock:     localserver.Clock{Base: resolved.Now},
		holdings:  newHoldings(),
	}
	s.buffers.New = func() any { b := make([]byte, bodySlice); return &b }
	b, err := s.AddBucket(Bucket{Name: resolved.Bucket})
	if err != nil {
		return nil, err
	}
	s.bucketID = b.ID
	if s.first, err = s.AddKey(Key{}); err != nil {
		return nil, err
	}
	if resolved.TLS {
		host, _, _ := net.SplitHostPort(resolved.Addr) // listen says what is wrong with it
		if s.certificate, err = newCertificate(host); err != nil {
			return nil, err
		}
	}
	listeners, err := listen(resolved.Listen, resolved.Addr)
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if resolved.TLS {
		scheme = "https://"
		config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.certificate}}
		for h := range listeners {
			listeners[h] = tls.NewListener(listeners[h], config)
		}
	}
	for h, listener := range listeners {
		// all, before the first request is answered with them
		s.urls[h] = scheme + listener.Addr().String()
	}
	for h, listener := range listeners {
		s.endpoints.Serve(listener, &http.Server{Handler: s.handler(host(h)), ConnContext: s.narrow})
	}
	return s, nil
}

// listen opens the four listeners: authorize at addr, the others on free ports of the same host.
func listen(open func(network, address string) (net.Listener, error), addr string) ([hostCount]net.Listener, error) {
	var listeners [hostCount]net.Listener
	name, _, err := net.SplitHostPort(addr)
	for h := range listeners {
		if err != nil {
			break
		}
		if h > 0 {
			addr = net.JoinHostPort(name, "0")
		}
		listeners[h], err = open("tcp", addr)
	}
	if err == nil {
		return listeners, nil
	}
	for _, l := range listeners {
		if l != nil {
			_ = l.Close()
		}
	}
	return listeners, fmt.Errorf("b2test: cannot listen: %w", err)
}

// narrow keeps the kernel from swallowing what a slow link would hold back.
func (s *Server) narrow(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok && s.opts.Bandwidth > 0 {
		_ = tcp.SetReadBuffer(int(max(4<<10, min(s.opts.Bandwidth/10, 4<<20))))
	}
	return ctx
}

// Close ends the server: it closes every connection, releases what waits
// (stalls, delays, slow bodies), and returns when all handlers have. A second
// call does nothing but wait.
func (s *Server) Close() { s.endpoints.Close() }

// URL is the authorize endpoint, without a path, as clients take it in place of
// https://api.backblazeb2.com. All other addresses are in the answer to
// b2_authorize_account.
func (s *Server) URL() string { return s.urls[authorizeHost] }

// AccountID is the id of the one account.
func (s *Server) AccountID() string { return s.account }

// KeyID is the id of the key made at start, which may do everything.
func (s *Server) KeyID() string { return s.first.ID }

// Key is the secret of the key made at start.
func (s *Server) Key() string { return s.first.Secret }

// Bucket is the name of the bucket made at start.
func (s *Server) Bucket() string { return s.opts.Bucket }

// BucketID is the id of the bucket made at start.
func (s *Server) BucketID() string { return s.bucketID }

// Now is the server's time: [Options.Now] and what [Server.Advance] added.
func (s *Server) Now() time.Time { return s.clock.Now() }

// Advance moves the server's clock on by d. Tokens and upload URLs live for 24 hours.
func (s *Server) Advance(d time.Duration) { s.clock.Advance(d) }

// sleep waits for d in real time, less when ctx ends or the server closes; it
// says whether it slept to the end.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.endpoints.Closing():
	}
	return false
}
