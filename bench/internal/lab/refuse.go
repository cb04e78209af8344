package lab

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// doorman stands before a B2 server and refuses the upload of a part while most
// others are under way: by 503 (RFC 9110, 15.6.4), before the body is read. He
// keeps the link's latency in the server's place, since he reads ahead of it.
type doorman struct {
	most    int64
	latency time.Duration
	listen  func(network, address string) (net.Listener, error)

	running atomic.Int64
}

// before opens a listener for a server that is reached through the doorman
// alone, and knows itself by his address.
func (d *doorman) before(network, address string) (net.Listener, error) {
	public, err := d.listen(network, address)
	if err != nil {
		return nil, err
	}
	hidden, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	to := &url.URL{Scheme: "http", Host: hidden.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024},
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, proxy) }),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(public) }() // ends with the process, which is the server's own
	return behind{hidden, public.Addr()}, nil
}

func (d *doorman) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	time.Sleep(d.latency)
	if strings.Contains(r.URL.Path, "b2_upload_part") {
		defer d.running.Add(-1)
		if d.running.Add(1) > d.most {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"status": 503, "code": "service_unavailable", "message": "more than %d uploads at once"}`, d.most)
			return
		}
	}
	next.ServeHTTP(w, r)
}

// behind is a listener under another's address.
type behind struct {
	net.Listener
	public net.Addr
}

func (b behind) Addr() net.Addr { return b.public }
