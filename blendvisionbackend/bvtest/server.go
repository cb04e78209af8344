package bvtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a BlendVision One library for tests. All methods are safe for concurrent use. It must be closed.
type Server struct {
	opts    Options
	secret  []byte // signs presigned URLs
	api     *http.Server
	objects *http.Server
	apiURL  string
	store   string        // the object store's base URL
	done    chan struct{} // closed by Close
	serving sync.WaitGroup

	mu         sync.Mutex // guards all below
	closed     bool
	handlers   int
	idle       *sync.Cond    // handlers became 0; its lock is mu
	advanced   time.Duration // by Advance
	sessions   []*session    // in the order they were opened
	faults     []*scripted
	violations []string
}

// NewServer starts a server; opts may be nil. Like httptest.NewServer it panics where it cannot listen; [Start]
// returns that as an error.
func NewServer(opts *Options) *Server {
	s, err := Start(opts)
	if err != nil {
		panic(err)
	}
	return s
}

// Start starts a server; opts may be nil. The error names an option out of range, or why it cannot listen.
func Start(opts *Options) (*Server, error) {
	resolved, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	api, err := resolved.Listen()
	if err != nil {
		return nil, fmt.Errorf("bvtest: cannot listen: %w", err)
	}
	objects, err := resolved.Listen()
	if err != nil {
		_ = api.Close()
		return nil, fmt.Errorf("bvtest: cannot listen: %w", err)
	}
	s := &Server{
		opts:   resolved,
		secret: []byte(randomHex(32)),
		apiURL: "http://" + api.Addr().String(),
		store:  "http://" + objects.Addr().String(),
		done:   make(chan struct{}),
	}
	s.idle = sync.NewCond(&s.mu)
	s.api = s.serve(api, s.serveAPI)
	s.objects = s.serve(objects, s.serveObject)
	return s, nil
}

// serve answers what arrives at the listener, until Close.
func (s *Server) serve(l net.Listener, handle http.HandlerFunc) *http.Server {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.enter() {
				panic(http.ErrAbortHandler)
			}
			defer s.leave()
			handle(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	s.serving.Go(func() { _ = server.Serve(l) }) // ends with ErrServerClosed
	return server
}

// Close ends the server: it closes every connection, releases what stalls, and returns when all handlers have. A second
// call does nothing but wait.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	_ = s.api.Close()
	_ = s.objects.Close()
	s.serving.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.handlers > 0 {
		s.idle.Wait()
	}
}

// enter counts a handler in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers--; s.handlers == 0 {
		s.idle.Broadcast()
	}
}

// URL is the API's address, without a path.
func (s *Server) URL() string { return s.apiURL }

// StoreURL is the address of the object store that presigned URLs lead to.
func (s *Server) StoreURL() string { return s.store }

// Token is the API token that the API accepts.
func (s *Server) Token() string { return s.opts.Token }

// OrgID is the organization id that goes with the token.
func (s *Server) OrgID() string { return s.opts.OrgID }

// Now is the server's time: [Options.Now] and what [Server.Advance] added.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// now is Now with the lock held.
func (s *Server) now() time.Time { return s.opts.Now().Add(s.advanced) }

// Advance moves the server's clock on by d, so that URLs expire.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced += d
}

// randomHex is n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
