package httpx

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/stretchr/testify/require"
)

const testTarget = "http://store.test/upload"

var once = retry.Policy{Attempts: 1, Base: 1, MaxWait: 1}

// send makes one attempt under the policy and returns the status.
func send(ctx context.Context, p retry.Policy, rt http.RoundTripper, url string, part *sluice.Part) (status int, err error) {
	stop := func(error) retry.Verdict { return retry.Verdict{} }
	err = p.Do(ctx, retry.Call{Classify: stop}, func(ctx context.Context, a *retry.Attempt) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
		if err != nil {
			return err
		}
		return carry(rt, req, part, a, func(resp *http.Response) error {
			status = resp.StatusCode
			return nil
		})
	})
	return status, err
}

// transports are the ways a body leaves: written by itself, and read by the transport.
func transports(t *testing.T, run func(t *testing.T, rt *http.Transport)) {
	for name, rt := range map[string]*http.Transport{"own": NewTransport(), "plain": {}} {
		t.Run(name, func(t *testing.T) {
			defer rt.CloseIdleConnections()
			run(t, rt)
		})
	}
}

func TestSendCarriesTheBytesWithTheirLength(t *testing.T) {
	transports(t, func(t *testing.T, rt *http.Transport) {
		var got []byte
		var length int64
		var encoding []string
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, _ = io.ReadAll(r.Body)
			length, encoding = r.ContentLength, r.TransferEncoding
		}))
		defer server.Close()
		for _, size := range []int{0, 1, 4095, 4096, 3 << 20} {
			data := bytes.Repeat([]byte("sluice"), size/6+1)[:size]
			status, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, data, nil))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			require.True(t, bytes.Equal(data, got), "%d bytes", size)
			require.EqualValues(t, size, length)
			require.Empty(t, encoding, "not chunked")
		}
	})
}

func TestSendTellsOnceTheWholeBodyIsOut(t *testing.T) {
	transports(t, func(t *testing.T, rt *http.Transport) {
		for size, want := range map[int]bool{0: true, 1: true, 1 << 20: true, 16 << 20: false} {
			url := earlyServer(t, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
			if want {
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
				}))
				defer server.Close()
				url = server.URL
			}
			_ = once.Do(t.Context(), retry.Call{Classify: func(error) retry.Verdict { return retry.Verdict{} }}, func(ctx context.Context, a *retry.Attempt) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
				require.NoError(t, err)
				require.False(t, a.WasSent())
				err = carry(rt, req, sluice.NewPart(1, make([]byte, size), nil), a, func(*http.Response) error { return nil })
				require.Equal(t, want, a.WasSent(), "%d bytes", size)
				return err
			})
		}
	})
}

func TestOurTransportWritesLargeSlices(t *testing.T) {
	var mu sync.Mutex
	var largest int
	rt := NewTransport()
	defer rt.CloseIdleConnections()
	rt.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerAll(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return conn{&sizedConn{Conn: client, wrote: func(n int) {
			mu.Lock()
			defer mu.Unlock()
			largest = max(largest, n)
		}}}, nil
	}
	_, err := send(t.Context(), once, rt, testTarget, sluice.NewPart(1, make([]byte, 8<<20), nil))
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, writeSize, largest)
}

// sizedConn reports the size of every write.
type sizedConn struct {
	net.Conn
	wrote func(int)
}

func (c *sizedConn) Write(q []byte) (int, error) {
	c.wrote(len(q))
	return c.Conn.Write(q)
}

// answerAll reads requests whole and gives each the same answer, until the connection ends.
func answerAll(c net.Conn, answer string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// An early answer is where a transport reads the body after it returned. The
// race detector watches the pages, which are scribbled over as soon as Send is
// back, and the server never hangs up by itself.
func TestPagesAreFreeOnceSendReturnsThoughTheServerAnsweredEarly(t *testing.T) {
	for name, answer := range map[string]string{
		"keep-alive": "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
		"close":      "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy",
		"longer than is drained": "HTTP/1.1 503 Busy\r\nContent-Length: 1048576\r\n\r\n" +
			strings.Repeat("b", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			transports(t, func(t *testing.T, rt *http.Transport) {
				url := earlyServer(t, answer)
				data := make([]byte, 8<<20)
				for range 5 {
					began := time.Now()
					status, err := send(t.Context(), once, rt, url, sluice.NewPart(1, data, nil))
					scribble(data)
					// A write that fails before the answer was seen is the
					// other way an early answer shows.
					if err == nil {
						require.Equal(t, http.StatusServiceUnavailable, status)
					}
					require.Less(t, time.Since(began), time.Minute, "waits for no server")
				}
			})
		})
	}
}

// scribble writes into every page of memory, as the stream's next part does.
func scribble(data []byte) {
	for i := 0; i < len(data); i += 64 {
		data[i]++
	}
}

// earlyServer answers each connection once, as soon as the header is there, and reads no further.
func earlyServer(t *testing.T, answer string) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
				<-done
			})
		}
	})
	return "http://" + l.Addr().String()
}

func TestPagesAreFreeOnceACancelledSendReturns(t *testing.T) {
	transports(t, func(t *testing.T, rt *http.Transport) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, _ = io.ReadFull(c, make([]byte, 1<<20))
				cancel()
				accepted <- c
			}
		}()
		data := make([]byte, 8<<20)
		_, err = send(ctx, once, rt, "http://"+l.Addr().String(), sluice.NewPart(1, data, nil))
		scribble(data)
		require.ErrorIs(t, err, context.Canceled)
		(<-accepted).Close()
	})
}

// piped returns a transport whose connections are served by serve, for virtual time.
func piped(rt *http.Transport, serve func(net.Conn)) *http.Transport {
	rt.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server)
		return conn{client}, nil
	}
	return rt
}

func TestAStalledExchangeIsGivenUp(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"the body is not taken": func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 10<<10))
			time.Sleep(time.Hour)
			c.Close()
		},
		"the answer does not come": func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
			}
			time.Sleep(time.Hour)
			c.Close()
		},
		"the answer stops half-way": func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			time.Sleep(time.Hour)
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := once
				p.Stall = time.Minute
				rt := piped(NewTransport(), serve)
				began := time.Now()
				part := sluice.NewPart(1, make([]byte, 1<<20), nil)
				err := p.Do(t.Context(), retry.Call{Classify: func(error) retry.Verdict { return retry.Verdict{} }}, func(ctx context.Context, a *retry.Attempt) error {
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, testTarget, nil)
					require.NoError(t, err)
					return carry(rt, req, part, a, func(resp *http.Response) error {
						_, err := io.ReadAll(resp.Body)
						return err
					})
				})
				require.ErrorIs(t, err, retry.ErrStalled)
				require.Equal(t, time.Minute, time.Since(began))
				time.Sleep(time.Hour) // until the server's end is gone
				rt.CloseIdleConnections()
			})
		})
	}
}

func TestASlowButMovingExchangeIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := once
		p.Stall = time.Minute
		rt := piped(NewTransport(), func(c net.Conn) {
			defer c.Close()
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			for {
				time.Sleep(20 * time.Second)
				if _, err := io.ReadFull(req.Body, make([]byte, 128<<10)); err != nil {
					break
				}
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		began := time.Now()
		status, err := send(t.Context(), p, rt, testTarget, sluice.NewPart(1, make([]byte, 8<<20), nil))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Greater(t, time.Since(began), 2*time.Minute)
		rt.CloseIdleConnections()
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var asked int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	rt := NewTransport()
	defer rt.CloseIdleConnections()
	status, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, []byte("secret"), nil))
	require.NoError(t, err)
	require.Equal(t, http.StatusTemporaryRedirect, status)
	require.Zero(t, asked)
}

func TestBroke_ReturnsHowReadingAnAnswerFailed(t *testing.T) {
	broken := errors.New("the connection broke")
	for _, want := range []error{nil, broken} {
		body := io.Reader(strings.NewReader("123"))
		if want != nil {
			body = io.MultiReader(body, brokenReader{want})
		}
		rt := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(body), Request: req}, nil
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, testTarget, nil)
		require.NoError(t, err)
		require.NoError(t, carry(rt, req, nil, new(retry.Attempt), func(resp *http.Response) error {
			_, _ = io.ReadAll(resp.Body)
			require.Equal(t, want, Broke(resp))
			return nil
		}))
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// lastWord looks at the attempt when the last byte arrives, as a server that answers at once does.
type lastWord struct {
	attempt *retry.Attempt
	left    int
	may     bool
}

func (w *lastWord) Write(q []byte) (int, error) {
	if w.left -= len(q); w.left == 0 {
		w.may = w.attempt.MayBeSent()
	} else if w.attempt.MayBeSent() {
		return 0, errors.New("said too early")
	}
	return len(q), nil
}

func TestWhoeverHasTheLastByteFindsThatItMayBeSent(t *testing.T) {
	for _, size := range []int{1, writeSize, writeSize + 1, 3 * writeSize} {
		a := new(retry.Attempt)
		body := &partBody{Body: sluice.NewPart(1, make([]byte, size), nil).Attempt(), attempt: a, left: int64(size)}
		w := &lastWord{attempt: a, left: size}
		_, err := body.WriteTo(w)
		require.NoError(t, err)
		require.True(t, w.may, "%d bytes", size)
		require.True(t, a.WasSent())
	}
}

// The body's Close waits for the write of the last bytes, and for no more: its
// caller must know by then.
func TestTheLastWriteSaysThatAllIsOut(t *testing.T) {
	a := new(retry.Attempt)
	body := &partBody{Body: sluice.NewPart(1, make([]byte, 10), nil).Attempt(), attempt: a, left: 10}
	w := &movingWriter{io.Discard, body}
	for range 2 {
		require.False(t, a.WasSent())
		_, err := w.Write(make([]byte, 5))
		require.NoError(t, err)
	}
	require.True(t, a.WasSent())
}

// carry sends a request of a call whose every answer is a success. A failure of
// the connection is returned as it is.
func carry(rt http.RoundTripper, req *http.Request, p *sluice.Part, a *retry.Attempt, read func(*http.Response) error) error {
	c := Call{Name: "call", Refused: func(*http.Response) error { return nil }}
	err := c.Send(rt, req, p, a, read)
	if e, ok := err.(*TransportError); ok {
		return e.Err
	}
	return err
}
