package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/c1508ce4/sluice/internal/retry"
)

// What failures mean for every store, unless it documents otherwise.
var (
	final   = retry.Verdict{Action: retry.Stop, Outcome: retry.NotDone}
	notDone = retry.Verdict{Action: retry.BackOff, Outcome: retry.NotDone}
	unknown = retry.Verdict{Action: retry.BackOff, Outcome: retry.Unknown}
)

// Classify classifies a failure that is not an error answer of the store. A
// failure outside an exchange, such as a malformed URL, is final.
func Classify(err error) retry.Verdict {
	_, broken := errors.AsType[*TransportError](err)
	_, unusable := errors.AsType[*AnswerError](err)
	switch {
	case Untrusted(err), proxyDenied(err):
		return final
	case NeverSent(err):
		return notDone
	case broken, unusable, retry.GaveUp(err):
		return unknown
	}
	return final
}

// ClassifyAnswer classifies an error answer by its status. own reports whether
// the body is an error in the store's own format. Any other body may be from a
// gateway, which does not know what the store did. An answer that cannot have a
// body, to HEAD, counts as own.
func ClassifyAnswer(status int, own bool) retry.Verdict {
	switch {
	case status == http.StatusProxyAuthRequired:
		return final // a proxy that authenticates has passed nothing on
	case !own, status < 300, status >= 500, status == http.StatusRequestTimeout, status == statusClientClosed:
		return unknown
	case status == http.StatusTooManyRequests:
		return notDone
	default:
		return final
	}
}

// statusClientClosed is what nginx, and gRPC's mapping to HTTP, answer for a
// request whose client went away.
const statusClientClosed = 499

// NeverSent reports whether no byte of a request that failed with err was sent:
// there was no connection, no tunnel through the proxy, or no trusted server.
func NeverSent(err error) bool {
	_, ok := find[unsentError](err)
	return ok || Untrusted(err)
}

// Untrusted reports whether a request failed because the server's certificate
// is not trusted.
func Untrusted(err error) bool {
	_, ok := find[*tls.CertificateVerificationError](err)
	return ok
}

// Unsent marks err as the failure to get a connection.
func Unsent(err error) error { return unsentError{err} }

type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// proxyError is a proxy's answer to CONNECT other than success.
type proxyError struct {
	proxy  string // host and port
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("proxy %s refused CONNECT: %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// checkConnect is a transport's OnProxyConnectResponse. The transport itself
// would report the reason phrase of the answer alone.
func checkConnect(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{proxy: proxy.Host, status: resp.StatusCode}
}

// proxyDenied reports whether a request failed because the proxy's rules forbid
// it, so that another attempt fails too. Of a transport that is not ours only
// the reason phrase of the answer is known.
func proxyDenied(err error) bool {
	unsent, ok := find[unsentError](err)
	answer, ours := find[*proxyError](err)
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired} {
		if ours && answer.status == status || ok && unsent.Error() == http.StatusText(status) {
			return true
		}
	}
	return false
}
