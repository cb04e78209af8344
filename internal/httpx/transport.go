package httpx

import (
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
