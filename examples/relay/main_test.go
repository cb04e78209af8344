package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// trial is a relay on a server of its own.
type trial struct {
	*httptest.Server
	*testing.T
	pool  *sluice.Pool
	ended chan struct{} // gets one for every request that was handled
}

func newTrial(t *testing.T, store sluice.Backend) *trial {
	pool, err := sluice.NewPool(4<<20, 64<<10)
	require.NoError(t, err)
	h := &relay{store: store, pool: pool, patience: patience, log: log.New(t.Output(), "", 0)}
	tr := &trial{T: t, pool: pool, ended: make(chan struct{}, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		defer func() { tr.ended <- struct{}{} }()
		h.ServeHTTP(w, r)
	})
	tr.Server = httptest.NewServer(mux)
	t.Cleanup(tr.Close)
	return tr
}

func (tr *trial) put(name string, body io.Reader) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(tr.Context(), http.MethodPut, tr.URL+"/"+name, body)
	if err != nil {
		return 0, "", err
	}
	resp, err := tr.Client().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// half opens a connection and sends a request with half of its body.
func (tr *trial) half(header string) net.Conn {
	conn, err := net.Dial("tcp", tr.Listener.Addr().String())
	require.NoError(tr, err)
	tr.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "PUT /half HTTP/1.1\r\nHost: relay\r\n%s\r\n\r\n5\r\nhello\r\n", header)
	require.NoError(tr, err)
	return conn
}

// declaring is a store that keeps the size that was declared last.
type declaring struct {
	*memorybackend.Backend
	declared int64
}

func (d *declaring) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	d.declared = spec.Size
	return d.Backend.StartLargeFile(ctx, spec)
}

func TestABodyOfUnknownLengthIsStored(t *testing.T) {
	store := &declaring{Backend: memorybackend.New(nil)}
	tr := newTrial(t, store)
	content := strings.Repeat("0123456789", 1<<17)
	// of a type whose length net/http does not see
	status, text, err := tr.put("a/b.txt", io.MultiReader(strings.NewReader(content)))
	require.NoError(t, err)
	require.Equal(t, 201, status)
	var answer struct {
		ID   string
		Size int
	}
	require.NoError(t, json.Unmarshal([]byte(text), &answer))
	require.Equal(t, len(content), answer.Size)
	stored, ok := store.File("a/b.txt")
	require.True(t, ok)
	require.Equal(t, stored.ID, answer.ID)
	require.EqualValues(t, sluice.UnknownSize, store.declared)
	data, err := fs.ReadFile(store.FS(), "a/b.txt")
	require.NoError(t, err)
	require.True(t, string(data) == content)
}

func TestAContentLengthIsDeclaredToTheStore(t *testing.T) {
	store := &declaring{Backend: memorybackend.New(nil)}
	tr := newTrial(t, store)
	content := strings.Repeat("0123456789", 1<<17)
	status, _, err := tr.put("f", strings.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, 201, status)
	require.EqualValues(t, len(content), store.declared)
}

func TestAnEmptyBodyIsAnEmptyFile(t *testing.T) {
	store := memorybackend.New(nil)
	status, text, err := newTrial(t, store).put("empty", nil)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	require.Contains(t, text, `"size":0`)
}

func TestAClientThatHangsUpLeavesNoFile(t *testing.T) {
	for _, header := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		t.Run(header, func(t *testing.T) {
			store := memorybackend.New(nil)
			tr := newTrial(t, store)
			require.NoError(t, tr.half(header).Close())
			<-tr.ended
			require.Empty(t, store.Names())
			require.Empty(t, store.Leftovers(""))
			require.Zero(t, tr.pool.InUse())
		})
	}
}

// talk sends a request to a relay over a connection in memory, so that a bubble
// of testing/synctest can hold them, and reads what comes back by read.
func talk(t *testing.T, store sluice.Backend, request string, read func(*bufio.Reader) error) {
	pool, err := sluice.NewPool(4<<20, 64<<10)
	require.NoError(t, err)
	client, accepted := net.Pipe()
	listener := &oneConn{conn: accepted, closed: make(chan struct{})}
	server := (&relay{store: store, pool: pool, patience: patience, log: log.New(t.Output(), "", 0)}).server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, err = io.WriteString(client, request)
	require.NoError(t, err)
	require.NoError(t, read(bufio.NewReader(client)))
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	require.Zero(t, pool.InUse())
}

// exchange is talk with the first line of the answer.
func exchange(t *testing.T, store sluice.Backend, request string) (line string) {
	talk(t, store, request, func(r *bufio.Reader) (err error) {
		line, err = r.ReadString('\n')
		return err
	})
	return line
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func TestAClientThatFallsSilentIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memorybackend.New(nil)
		begun := time.Now()
		require.Contains(t, exchange(t, store, "PUT /f HTTP/1.1\r\nHost: relay\r\nContent-Length: 100\r\n\r\nhello"), "400")
		require.Equal(t, patience, time.Since(begun))
		require.Empty(t, store.Names())
	})
}

func TestAClientThatAsksForNothingMoreIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		talk(t, memorybackend.New(nil), "PUT /f HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello", func(r *bufio.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		require.Equal(t, patience, time.Since(begun))
	})
}

func TestAnUploadMayTakeLongerThanThePatienceForABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := faults.New(memorybackend.New(nil), faults.Delay(5*patience))
		require.Contains(t, exchange(t, slow, "PUT /f HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello"), "201")
	})
}

func TestManyRequestsShareOnePool(t *testing.T) {
	store := memorybackend.New(nil)
	var tr *trial
	var least atomic.Int64 // of the Pool's memory in use while a part is uploaded
	least.Store(1 << 62)
	look := func(context.Context, faults.Op) error {
		least.Store(min(least.Load(), tr.pool.InUse()))
		return nil
	}
	tr = newTrial(t, faults.New(store, faults.Do(look, faults.OnKind(faults.UploadPart))))
	content := bytes.Repeat([]byte("x"), 3<<20) // each could fill most of the 4 MiB
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			status, text, err := tr.put(fmt.Sprint("f", i), bytes.NewReader(content))
			if err == nil && status != 201 {
				err = fmt.Errorf("status %d: %s", status, text)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, store.Names(), 8)
	require.Positive(t, least.Load())
	require.Zero(t, tr.pool.InUse())
}

func TestFailuresAreToldByStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		injectors []*faults.Injector
		name      string
		status    int
	}{
		"the store fails": {[]*faults.Injector{faults.Fail(nil)}, "f", 502},
		"nobody knows":    {[]*faults.Injector{faults.Lose(sluice.ErrFinishUnknown)}, "f", 504},
		"no name":         {nil, "", 400},
	} {
		tr := newTrial(t, faults.New(memorybackend.New(nil), tc.injectors...))
		status, _, err := tr.put(tc.name, strings.NewReader("x"))
		require.NoError(t, err)
		require.Equal(t, tc.status, status, name)
	}
}

func TestALengthBeyondTheMemoryIsRefusedBeforeTheBodyComes(t *testing.T) {
	answer := make([]byte, len("HTTP/1.1 413"))
	_, err := io.ReadFull(newTrial(t, memorybackend.New(nil)).half("Content-Length: 9000000000000"), answer)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 413", string(answer))
}

func TestTheProgramServesUntilItsContextEnds(t *testing.T) {
	store := memorybackend.New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	exit := make(chan int, 1)
	go func() { exit <- run(ctx, store, nil, w) }()
	line := make([]byte, 200)
	n, err := r.Read(line)
	require.NoError(t, err)
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(string(line[:n]))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/f", strings.NewReader("x"))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 201, resp.StatusCode)
	cancel()
	require.Zero(t, <-exit)
	require.Equal(t, []string{"f"}, store.Names())
}

func TestMistakesInFlagsAreTold(t *testing.T) {
	for text, tc := range map[string]struct {
		args []string
		exit int
	}{
		"-patience":    {[]string{"-patience"}, 2},
		"usage: relay": {[]string{"8080"}, 2},
		"address":      {[]string{"-addr", "nonsense"}, 1},
		"1 bytes":      {[]string{"-memory", "1"}, 1},
	} {
		var stderr bytes.Buffer
		require.Equal(t, tc.exit, run(t.Context(), memorybackend.New(nil), tc.args, &stderr), text)
		require.Contains(t, stderr.String(), text)
	}
}
