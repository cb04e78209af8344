package bvtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// Server is a BlendVision One library for tests. All methods are safe for
// concurrent use. It must be closed.
type Server struct {
	opts      Options
	secret    []byte // signs presigned URLs
	apiURL    string
	store     string // the object store's base URL
	endpoints *localserver.Endpoints
	clock     localserver.Clock
	faults    localserver.Script[Fault]

	mu         sync.Mutex // guards all below
	sessions   []*session // in the order they were opened
	violations []string
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
// range, or why it cannot listen.
func Start(opts *Options) (*Server, error) {
	resolved, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	const free = "127.0.0.1:0"
	api, err := resolved.Listen("tcp", free)
	if err != nil {
		return nil, fmt.Errorf("bvtest: cannot listen: %w", err)
	}
	objects, err := resolved.Listen("tcp", free)
	if err != nil {
		_ = api.Close()
		return nil, fmt.Errorf("bvtest: cannot listen: %w", err)
	}
	s := &Server{
		opts:      resolved,
		secret:    []byte(randomHex(32)),
		apiURL:    "http://" + api.Addr().String(),
		store:     "http://" + objects.Addr().String(),
		endpoints: localserver.NewEndpoints(),
		clock:     localserver.Clock{Base: resolved.Now},
	}
	s.endpoints.Serve(api, &http.Server{Handler: http.HandlerFunc(s.serveAPI)})
	s.endpoints.Serve(objects, &http.Server{Handler: http.HandlerFunc(s.serveObject)})
	return s, nil
}

// Close ends the server: it closes every connection, releases what stalls, and
// returns when all handlers have. A second call does nothing but wait.
func (s *Server) Close() { s.endpoints.Close() }

// URL is the API's address, without a path.
func (s *Server) URL() string { return s.apiURL }

// Token is the API token that the API accepts.
func (s *Server) Token() string { return s.opts.Token }

// OrgID is the organization id that goes with the token.
func (s *Server) OrgID() string { return s.opts.OrgID }

// Now is the server's time: [Options.Now] and what [Server.Advance] added.
func (s *Server) Now() time.Time { return s.clock.Now() }

// Advance moves the server's clock on by d, so that URLs expire.
func (s *Server) Advance(d time.Duration) { s.clock.Advance(d) }

// randomHex is n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
