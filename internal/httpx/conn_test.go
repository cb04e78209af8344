package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// trusting returns our transport, which trusts the server's certificate.
func trusting(t *testing.T, server *httptest.Server) *http.Transport {
	rt := NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	rt.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	rt.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	return rt
}

func tlsServer(t *testing.T, handle http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handle)
	// a refused handshake is what some tests want
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestSendCarriesTheBytesOverTLS(t *testing.T) {
	var got []byte
	server := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		if r.ProtoMajor != 1 {
			t.Errorf("%s, which would put all uploads on one connection", r.Proto)
		}
	})
	rt := trusting(t, server)
	for _, size := range []int{0, 1, 4096, 3 << 20} {
		data := bytes.Repeat([]byte("sluice"), size/6+1)[:size]
		status, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, data, nil))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.True(t, bytes.Equal(data, got), "%d bytes", size)
	}
}

// What is written to a TLS connection is seen here, before it is cut into records.
func TestOurTransportWritesLargeSlicesToTLS(t *testing.T) {
	server := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	rt := trusting(t, server)
	var largest atomic.Int64
	dial := rt.DialTLSContext
	rt.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ours := c.(conn)
		require.IsType(t, &tls.Conn{}, ours.Conn)
		ours.Conn = &sizedConn{Conn: ours.Conn, wrote: func(n int) { largest.Store(max(largest.Load(), int64(n))) }}
		return ours, nil
	}
	_, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, make([]byte, 8<<20), nil))
	require.NoError(t, err)
	require.EqualValues(t, writeSize, largest.Load())
}

func TestPagesAreFreeOnceSendReturnsThoughTheServerAnsweredEarlyOverTLS(t *testing.T) {
	hold := make(chan struct{})
	server := tlsServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "busy")
		_ = http.NewResponseController(w).Flush()
		<-hold
	})
	defer close(hold)
	rt := trusting(t, server)
	data := make([]byte, 8<<20)
	for range 5 {
		began := time.Now()
		status, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, data, nil))
		scribble(data)
		// A write that fails before the answer was seen is the other way an early answer shows.
		if err == nil {
			require.Equal(t, http.StatusServiceUnavailable, status)
		}
		require.Less(t, time.Since(began), time.Minute, "waits for no server")
	}
}

func TestAServerThatIsNotTheOneNamedIsRefused(t *testing.T) {
	server := tlsServer(t, func(http.ResponseWriter, *http.Request) {})
	for name, change := range map[string]func(*tls.Config){
		"unknown authority": func(c *tls.Config) { c.RootCAs = nil },
		"other name":        func(c *tls.Config) { c.ServerName = "store.test" },
	} {
		rt := trusting(t, server)
		change(rt.TLSClientConfig)
		_, err := send(t.Context(), once, rt, server.URL, sluice.NewPart(1, []byte("x"), nil))
		var refused *tls.CertificateVerificationError
		require.ErrorAs(t, err, &refused, name)
	}
}

func TestAHandshakeThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }() // takes the hello and says nothing
		began := time.Now()
		_, err := handshake(t.Context(), client, &tls.Config{ServerName: "store.test"}, 20*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 20*time.Second, time.Since(began))
		_, err = client.Write(nil)
		require.ErrorIs(t, err, io.ErrClosedPipe, "the connection is closed")
	})
}
