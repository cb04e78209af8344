// Package localserver is what servers for tests have in common, whatever they
// speak: the life of their endpoints, their clock, and the script of faults
// that they follow.
package localserver

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Endpoints are the listeners of one server. Make them with [NewEndpoints]; all
// methods may be called concurrently.
type Endpoints struct {
	closing chan struct{}
	serving sync.WaitGroup

	mu       sync.Mutex // guards all below
	closed   bool
	links    []*http.Server
	handlers int
	idle     *sync.Cond // handlers became 0; its lock is mu
}

// NewEndpoints returns those of a server that does not listen yet.
func NewEndpoints() *Endpoints {
	e := &Endpoints{closing: make(chan struct{})}
	e.idle = sync.NewCond(&e.mu)
	return e
}

// Serve answers what arrives at the listener as the link says, until Close;
// after that it only closes the listener. The link must have a Handler.
func (e *Endpoints) Serve(l net.Listener, link *http.Server) {
	handler := link.Handler
	link.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.enter() {
			panic(http.ErrAbortHandler)
		}
		defer e.leave()
		handler.ServeHTTP(w, r)
	})
	link.ReadHeaderTimeout = time.Minute
	link.ErrorLog = log.New(io.Discard, "", 0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = l.Close()
		return
	}
	e.links = append(e.links, link)
	e.serving.Go(func() { _ = link.Serve(l) }) // ends with ErrServerClosed, by Close
}

// Closing is closed when Close is called: what waits must not wait any longer.
func (e *Endpoints) Closing() <-chan struct{} { return e.closing }

// Stays waits for a second, and reports whether the client of a request is
// there to the end of it, and the server open. The request has been read. That
// a client has hung up is noticed in some turns of the scheduler, so the second
// has many.
func (e *Endpoints) Stays(r *http.Request) bool {
	for range 100 {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-r.Context().Done():
			return false
		case <-e.closing:
			return false
		}
	}
	return true
}

// Close closes every listener and every connection, and returns when all
// handlers have. A second call does nothing but wait.
func (e *Endpoints) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.closing)
	}
	links := e.links
	e.mu.Unlock()
	for _, link := range links {
		_ = link.Close()
	}
	e.serving.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.handlers > 0 {
		e.idle.Wait()
	}
}

// enter counts a handler in, unless the server is closed.
func (e *Endpoints) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.handlers++
	return true
}

func (e *Endpoints) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.handlers--; e.handlers == 0 {
		e.idle.Broadcast()
	}
}
