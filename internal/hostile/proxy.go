package hostile

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// DenyingProxy sends requests as transport does, but for those whose path
// contains text: they go to a host behind a proxy that answers CONNECT with
// status. The proxy closes every connection after its answer. asked is how
// often it was asked.
func DenyingProxy(t *testing.T, transport *http.Transport, text string, status int) (rt http.RoundTripper, asked *atomic.Int32) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked = new(atomic.Int32)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	transport.Proxy = func(req *http.Request) (*url.URL, error) {
		if req.URL.Host == denied {
			return &url.URL{Scheme: "http", Host: l.Addr().String()}, nil
		}
		return nil, nil
	}
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if strings.Contains(req.URL.Path, text) {
			req.URL = &url.URL{Scheme: "https", Host: denied, Path: req.URL.Path}
			req.Host = denied
		}
		return transport.RoundTrip(req)
	}), asked
}

const denied = "store.test"

// DenyingStatuses are those of a proxy whose rules forbid a connection.
var DenyingStatuses = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired}

// RequireDenied sees that a call failed at once because the proxy denied it.
func RequireDenied(t *testing.T, err error, status int, asked *atomic.Int32) {
	t.Helper()
	require.ErrorContains(t, err, fmt.Sprintf("refused CONNECT: %d %s", status, http.StatusText(status)))
	require.EqualValues(t, 1, asked.Load(), "another attempt was made")
}
