package httpx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

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
