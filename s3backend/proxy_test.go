package s3backend

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// proxy stands before the server and plays it false.
type proxy struct {
	URL string

	server *httptest.Server
	pass   http.Handler
	faults localserver.Script[*fault]

	mu       sync.Mutex
	requests []request
}

// request is one that came to the proxy.
type request struct {
	call string
	*http.Request
}

// fault is one thing that goes wrong, with the calls for which it does.
type fault struct {
	calls string // "" is all
	// the first of these calls that it strikes, from 1; those that a fault
	// before it strikes do not count
	from  int
	times int // how many it strikes; 0 is all further ones

	// strike answers instead of the server. pass asks the server.
	strike func(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler)
}

// newProxy starts a proxy, over TLS if secure.
func newProxy(t *testing.T, secure bool, faults ...*fault) *proxy {
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	p := &proxy{}
	for _, f := range faults {
		times := f.times
		if times == 0 {
			times = -1
		}
		p.faults.Add(f, max(1, f.from)-1, times)
	}
	p.pass = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
			r.Out.URL.RawPath, r.Out.URL.RawQuery = r.In.URL.RawPath, r.In.URL.RawQuery
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			panic(http.ErrAbortHandler) // the client hung up
		},
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(t, w, r) }))
	if secure {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	p.URL = p.server.URL
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *proxy) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	call := callOf(r)
	p.mu.Lock()
	p.requests = append(p.requests, request{call, r})
	p.mu.Unlock()
	if f, ok := p.faults.Meet(func(f *fault) bool { return f.calls == "" || f.calls == call }); ok {
		f.strike(t, w, r, p.pass)
		return
	}
	p.pass.ServeHTTP(w, r)
}

// callOf names a request as the API reference does.
func callOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "ListParts"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodHead:
		return "HeadObject"
	case q.Has("attributes"):
		return "GetObjectAttributes"
	default:
		return "GetObject"
	}
}

// calls are the names of the requests so far, in order.
func (p *proxy) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, r := range p.requests {
		names = append(names, r.call)
	}
	return names
}

// count is how many requests were of the name.
func (p *proxy) count(call string) int {
	n := 0
	for _, name := range p.calls() {
		if name == call {
			n++
		}
	}
	return n
}

// last is the last request of the name.
func (p *proxy) last(t *testing.T, call string) *http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range slices.Backward(p.requests) {
		if r.call == call {
			return r.Request
		}
	}
	require.Failf(t, "no such request", "%s", call)
	return nil
}

// answer is a strike: the request is read and answered, and never reaches the server.
func answer(status int, code string, header ...string) func(*testing.T, http.ResponseWriter, *http.Request, http.Handler) {
	return func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		writeError(w, status, code, header...)
	}
}

// refuse is a strike: the request is answered before its body is read.
func refuse(status int, code string) func(*testing.T, http.ResponseWriter, *http.Request, http.Handler) {
	return func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeError(w, status, code)
	}
}

func writeError(w http.ResponseWriter, status int, code string, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	if code != "" {
		fmt.Fprintf(w, xmlError, code)
	}
}

const xmlError = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>by the proxy</Message><RequestId>R1</RequestId></Error>`

// reset is a strike: the connection breaks in the middle of the body, which
// never reaches the server.
func reset(t *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	hangUp(t, w)
}

// drop is a strike: the request is read whole, and the connection breaks. It
// never reaches the server.
func drop(t *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	hangUp(t, w)
}

// lose is a strike: the server does what is asked, and the connection breaks before its answer.
func lose(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(httptest.NewRecorder(), r)
	hangUp(t, w)
}

// cut is a strike: the server does what is asked, and the connection breaks in
// the middle of its answer.
func cut(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
	rec := httptest.NewRecorder()
	pass.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if len(body) == 0 {
		hangUp(t, w)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

// hangUp breaks the connection with a reset.
func hangUp(t *testing.T, w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	require.NoError(t, err)
	if tcp, ok := conn.(*net.TCPConn); ok {
		require.NoError(t, tcp.SetLinger(0))
	}
	_ = conn.Close()
}

// drain reads a request whole.
func drain(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
