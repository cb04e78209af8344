package httpx

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// NewTransport returns the transport of a backend that was given none. It
// speaks HTTP/1.1, so that every upload has a connection and a congestion
// window of its own; it keeps as many idle connections as there are uploads;
// and it writes a part in large slices of its pages, plain and over TLS. It is
// not to be cloned: the clone would dial with the TLSClientConfig of the
// original.
func NewTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		Protocols:           protocols,
		TLSHandshakeTimeout: 20 * time.Second,
		// The default of two makes every further upload pay a handshake for each of its parts.
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        60 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		OnProxyConnectResponse: checkConnect,
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	t.DialContext = DialPlain(dialer.DialContext)
	t.DialTLSContext = dialTLS(dialer, t)
	return t
}

// conn lets a part write itself. The transport would copy it in slices of 32
// KiB, which costs a system call each on a plain connection and a copy on any.
type conn struct{ net.Conn }

// ReadFrom is what the transport calls with a limited reader around the request
// body. The limit is the Content-Length, which [Call.Send] makes the part's size, so
// it does not cut.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*partBody); ok {
			n, err := body.WriteTo(c.Conn)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// DialPlain returns a transport's DialContext, which dials by dial.
func DialPlain(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn{c}, nil
	}
}

// dialTLS is the DialTLSContext of t. It is needed because the transport would
// put its own TLS connection, which reads a body in small slices, around what
// DialContext returned. It honours t's TLSClientConfig and TLSHandshakeTimeout
// as the transport does. The transport does not use it through a proxy: a part
// then goes out in small slices.
func dialTLS(dialer *net.Dialer, t *http.Transport) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config := &tls.Config{}
		if t.TLSClientConfig != nil {
			config = t.TLSClientConfig.Clone()
		}
		if config.ServerName == "" {
			config.ServerName = host
		}
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return handshake(ctx, c, config, t.TLSHandshakeTimeout)
	}
}

// handshake makes c secure, or closes it.
func handshake(ctx context.Context, c net.Conn, config *tls.Config, timeout time.Duration) (net.Conn, error) {
	secured := tls.Client(c, config)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn{secured}, nil
}
