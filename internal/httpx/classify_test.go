package httpx

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// listen serves connections one after the other until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// answering reads a request and answers it.
func answering(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, answer)
		}
	}
}

// refusing returns an address that refuses connections.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// failure makes one attempt that gets no answer and returns its error as a
// backend would.
func failure(t *testing.T, rt *http.Transport, url string) error {
	_, err := send(t.Context(), once, rt, url, sluice.NewPart(1, []byte("data"), nil))
	require.Error(t, err)
	return &TransportError{Call: "upload", Err: Clean(err, "secret")}
}

func TestClassify_KnowsWhetherAnythingWasSent(t *testing.T) {
	closing := func(net.Conn) {}
	untrusted := httptest.NewTLSServer(nil)
	defer untrusted.Close()
	for name, c := range map[string]struct {
		target, proxy string
		want          retry.Verdict
	}{
		"connection refused":             {"http://" + refusing(t), "", notDone},
		"handshake cut":                  {"https://" + listen(t, closing), "", notDone},
		"untrusted certificate":          {untrusted.URL, "", final},
		"proxy refused":                  {"https://store.test", refusing(t), notDone},
		"proxy refused, plain http":      {"http://store.test", refusing(t), notDone},
		"CONNECT cut":                    {"https://store.test", listen(t, closing), notDone},
		"CONNECT answered 407":           {"https://store.test", listen(t, answering("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")), final},
		"CONNECT answered 401":           {"https://store.test", listen(t, answering("HTTP/1.1 401 Unauthorized\r\n\r\n")), final},
		"CONNECT answered 403":           {"https://store.test", listen(t, answering("HTTP/1.1 403 Forbidden\r\n\r\n")), final},
		"CONNECT answered 502":           {"https://store.test", listen(t, answering("HTTP/1.1 502 Bad Gateway\r\n\r\n")), notDone},
		"connection cut after a request": {"http://" + listen(t, answering("")), "", unknown},
		"garbled answer":                 {"http://" + listen(t, answering("hello\r\n\r\n")), "", unknown},
		"proxy cuts a plain request":     {"http://store.test", listen(t, answering("")), unknown},
	} {
		t.Run(name, func(t *testing.T) {
			transports(t, func(t *testing.T, rt *http.Transport) {
				rt.Proxy = nil
				if c.proxy != "" {
					rt.Proxy = http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("u", "secret"), Host: c.proxy})
				}
				err := failure(t, rt, c.target)
				require.Equal(t, c.want, Classify(err), "%v", err)
				require.Equal(t, c.want != unknown, NeverSent(err))
				require.NotContains(t, err.Error(), "secret")
			})
		})
	}
}

// The reason phrase is whatever the proxy likes.
func TestProxyRefusal_IsNamedWithItsStatus(t *testing.T) {
	proxy := listen(t, answering("HTTP/1.1 407 Filtered\r\n\r\n"))
	rt := NewTransport()
	rt.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})
	err := failure(t, rt, "https://store.test")
	require.EqualError(t, err, "upload: proxy "+proxy+" refused CONNECT: 407 Proxy Authentication Required")
	require.Equal(t, final, Classify(err))
}

// rclone had no bound on the answer of a proxy to CONNECT (GO-2026-6199).
func TestEndlessAnswers_AreGivenUp(t *testing.T) {
	for name, trial := range map[string]struct {
		head, more string
		proxy      bool
	}{
		"headers after CONNECT":    {"HTTP/1.1 200 OK\r\n", "X-More: " + strings.Repeat("x", 4<<10) + "\r\n", true},
		"one line after CONNECT":   {"HTTP/1.1 200 OK\r\nX-More: ", strings.Repeat("x", 4<<10), true},
		"refusal of CONNECT":       {"HTTP/1.1 407 No\r\n", "X-More: " + strings.Repeat("x", 4<<10) + "\r\n", true},
		"interim answers":          {"", "HTTP/1.1 103 Early Hints\r\nX-More: " + strings.Repeat("x", 4<<10) + "\r\n\r\n", false},
		"interim after CONNECT":    {"", "HTTP/1.1 103 Early Hints\r\nX-More: " + strings.Repeat("x", 4<<10) + "\r\n\r\n", true},
		"headers of a redirection": {"HTTP/1.1 307 Temporary Redirect\r\n", "Location: " + strings.Repeat("x", 4<<10) + "\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			address := listen(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				for text := trial.head; ; text = trial.more {
					n, err := io.WriteString(c, text)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
			rt := NewTransport()
			defer rt.CloseIdleConnections()
			target := "http://" + address
			if trial.proxy {
				rt.Proxy, target = http.ProxyURL(&url.URL{Scheme: "http", Host: address}), "https://store.test"
			}
			require.Less(t, len(failure(t, rt, target).Error()), 4<<10)
			require.Less(t, sent.Load(), int64(64<<20), "with what the system keeps of a connection")
		})
	}
}

func TestClassify_OnlyFailuresOfAnExchangeAreRetried(t *testing.T) {
	for _, err := range []error{retry.ErrTimeout, retry.ErrStalled, &AnswerError{}, &TransportError{Err: io.ErrUnexpectedEOF}} {
		require.Equal(t, unknown, Classify(err))
	}
	require.Equal(t, final, Classify(errors.New("no request was made")))
}

func TestClassifyAnswer_IsCertainOnlyOfTheStoresOwnRefusal(t *testing.T) {
	for status := 100; status < 600; status++ {
		own, foreign := final, unknown
		switch {
		case status < 300, status == 408, status == 499, status >= 500:
			own = unknown
		case status == 429:
			own = notDone // retried, and certainly not done
		case status == 407:
			foreign = final
		}
		require.Equal(t, own, ClassifyAnswer(status, true), "%d", status)
		require.Equal(t, foreign, ClassifyAnswer(status, false), "%d of a gateway", status)
	}
}
