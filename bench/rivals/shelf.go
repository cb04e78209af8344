package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// lanes is how many connections at its bandwidth a link of the shelf carries: more of them share
// it.
const lanes = 8

// playShelf is the role of an S3 store with a file for every number of bytes, which is its name. It
// answers at the latency of a link and sends at its bandwidth.
func playShelf(_ context.Context, spec json.RawMessage) (any, error) {
	var link lab.Link
	if err := json.Unmarshal(spec, &link); err != nil {
		return nil, err
	}
	s := &shelf{page: lab.NewPage(), asked: map[int64]bool{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(link.Latency)
		s.serve(w, r)
	}))
	if link.Bandwidth > 0 {
		server.Listener = &pacedListener{server.Listener, link.Bandwidth, &pace{rate: link.Bandwidth * lanes}}
	}
	server.Start()
	defer server.Close()
	a := lab.Address{URL: server.URL, KeyID: "key", Key: "secret", Bucket: "bucket"}
	return nil, a.Announce()
}

// shelf is the files of a store.
type shelf struct {
	page []byte // that all of them repeat

	mu    sync.Mutex
	asked map[int64]bool // sizes that were asked for: rclone cat lists the bucket
}

// serve answers HEAD and GET, of a range or of all, and lists what was asked for.
func (s *shelf) serve(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(path.Base(r.URL.Path), 10, 64)
	s.mu.Lock()
	if err == nil {
		s.asked[size] = true
	}
	asked := slices.Collect(maps.Keys(s.asked))
	s.mu.Unlock()
	switch {
	case r.URL.Query().Has("prefix"):
		fmt.Fprint(w, `<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>`)
		for _, n := range asked {
			fmt.Fprintf(w, `<Contents><Key>%d</Key><LastModified>2026-11-27T12:00:00Z</LastModified><ETag>"0"</ETag><Size>%d</Size></Contents>`, n, n)
		}
		fmt.Fprint(w, `</ListBucketResult>`)
		return
	case err != nil:
		http.Error(w, "<Error><Code>NoSuchKey</Code></Error>", http.StatusNotFound)
		return
	}
	first, last, status := int64(0), size-1, http.StatusOK
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n > 0 {
		last, status = min(last, size-1), http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
	}
	w.Header().Set("Content-Length", strconv.FormatInt(last+1-first, 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"00000000000000000000000000000000-8"`)
	w.Header().Set("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
	w.Header().Set("Accept-Ranges", "bytes")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	for at := first; at <= last; {
		in := at % int64(len(s.page))
		n, err := w.Write(s.page[in:min(int64(len(s.page)), in+last+1-at)])
		if err != nil {
			return
		}
		at += int64(n)
	}
}

// pace lets bytes through at a rate.
type pace struct {
	rate int64 // bytes per second
	mu   sync.Mutex
	free time.Time // when the bytes let through so far are gone
}

// take returns when n more bytes are through.
func (p *pace) take(n int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return p.free
}

// pacedListener accepts connections that send at a rate each, and at another one together.
type pacedListener struct {
	net.Listener
	each int64
	all  *pace
}

func (l *pacedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10) // the kernel's takes bytes before they are due
	}
	return &pacedConn{c, &pace{rate: l.each}, l.all}, nil
}

type pacedConn struct {
	net.Conn
	own, all *pace
}

// Write sends pieces of at most 64 KiB when they are due.
func (c *pacedConn) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		piece := p[:min(len(p), 64<<10)]
		due := c.own.take(len(piece))
		if together := c.all.take(len(piece)); together.After(due) {
			due = together
		}
		time.Sleep(time.Until(due))
		n, err := c.Conn.Write(piece)
		total += n
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}
