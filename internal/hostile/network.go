package hostile

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// Connect makes a backend at an endpoint, and a call. rt is nil for the backend's own transport.
type Connect func(endpoint string, rt http.RoundTripper, plainHTTP bool) error

// TestCertificates sees that nothing is sent to a server whose certificate nobody vouches for, or that is another host's;
// and that it is sent to one whose certificate is in order. Another attempt would not help.
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
		rt := exchange.NewTransport()
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

// TestPlainHTTP sees that an endpoint of plain http is refused off this machine, unless it was asked for.
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

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
