package hostile

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// Connect makes a backend at an endpoint, and a call. rt is nil for the backend's own transport.
type Connect func(endpoint string, rt http.RoundTripper, plainHTTP bool) error

// TestCertificates sees that nothing is sent to a server whose certificate
// is untrusted, or that is another host's; and that it is sent to one
// whose certificate is in order. Another attempt would not help.
func TestCertificates(t *testing.T, connect Connect) {
	var asked, connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusForbidden)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	trusting := func() *http.Transport {
		rt := httpx.NewTransport()
		rt.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		t.Cleanup(rt.CloseIdleConnections)
		return rt
	}
	another := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	require.ErrorContains(t, connect(server.URL, nil, false), "certificate")
	require.ErrorContains(t, connect(server.URL, nil, true), "certificate", "plain http is another matter")
	err := connect(another, trusting(), false)
	require.ErrorContains(t, err, "certificate")
	require.NotErrorIs(t, err, sluice.ErrLeftBehind, "nothing was sent")
	require.Zero(t, asked.Load())
	require.EqualValues(t, 3, connections.Load(), "it was tried again")
	require.ErrorContains(t, connect(server.URL, trusting(), false), "403")
	require.NotZero(t, asked.Load())
}

// TestPlainHTTP sees that an endpoint of plain http is refused off this
// machine, unless it was asked for.
func TestPlainHTTP(t *testing.T, connect Connect) {
	asked := 0
	rt := roundTrip(func(req *http.Request) (*http.Response, error) {
		asked++
		return reply(req, http.StatusForbidden, ""), nil
	})
	for _, endpoint := range []string{
		"http://api.test", "HTTP://API.TEST:80/x", "http://192.0.2.1:9000", "http://[2001:db8::1]", "http://0.0.0.0:1",
		"http://localhost.api.test", "http://127.0.0.1.api.test", "http://127.1.api.test", "http://2130706433",
	} {
		require.ErrorContains(t, connect(endpoint, rt, false), "plain http would show", endpoint)
		require.Zero(t, asked, endpoint)
		require.ErrorContains(t, connect(endpoint, rt, true), "403", endpoint)
		require.NotZero(t, asked, endpoint)
		asked = 0
	}
	for _, endpoint := range []string{"http://localhost:1", "http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:1", "https://api.test"} {
		require.ErrorContains(t, connect(endpoint, rt, false), "403", endpoint)
	}
}

// TestProxies sees that a proxy that lets nothing through leaves nothing behind,
// and that one that denies access is asked once.
func TestProxies(t *testing.T, connect Connect) {
	for answer, want := range map[string]struct {
		attempts int64
		text     string
	}{
		"":                                  {2, "EOF"},
		"407 Proxy Authentication Required": {1, "407 Proxy Authentication Required"},
		"407 Filtered":                      {1, "407 Proxy Authentication Required"},
		"403 Forbidden":                     {1, "403 Forbidden"},
		"502 Bad Gateway":                   {2, "502 Bad Gateway"},
	} {
		t.Run(answer, func(t *testing.T) {
			var asked atomic.Int64
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				c, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer c.Close()
				if answer != "" {
					_, _ = io.WriteString(c, "HTTP/1.1 "+answer+"\r\n\r\n")
				}
			}))
			defer proxy.Close()
			for _, rt := range []*http.Transport{httpx.NewTransport(), {}} {
				if rt.Protocols == nil && answer == "407 Filtered" {
					continue // a transport that is not ours tells the reason phrase alone
				}
				asked.Store(0)
				err := connect("https://store.test", through(t, rt, proxy.URL), false)
				require.Error(t, err)
				require.NotErrorIs(t, err, sluice.ErrLeftBehind)
				require.Equal(t, want.attempts, asked.Load())
				if rt.Protocols != nil {
					require.ErrorContains(t, err, want.text)
				}
			}
		})
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	require.NotErrorIs(t, connect("https://store.test", through(t, httpx.NewTransport(), gone.URL), false), sluice.ErrLeftBehind)
}

// through has a transport use a proxy.
func through(t *testing.T, rt *http.Transport, proxy string) *http.Transport {
	u, err := url.Parse(proxy)
	require.NoError(t, err)
	rt.Proxy = http.ProxyURL(u)
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
