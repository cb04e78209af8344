// Package httpcall makes the HTTP requests of a backend of your own. It retries
// them, and ends attempts that stall. It lends the bytes of a [sluice.Part] to
// the transport and takes them back before the call returns. It follows no
// redirects, and bounds how much of an answer is read to reuse a connection. Its
// errors hold no credentials of a URL or of the header Authorization.
//
// examples/ownbackend shows a store that is reached by it.
package httpcall

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Client makes requests. It may be used concurrently.
type Client struct {
	transport http.RoundTripper
	policy    retry.Policy
}

// New returns a new Client. A nil transport is [NewTransport]. It fails if r has
// negative fields.
func New(transport http.RoundTripper, r sluice.Retry) (*Client, error) {
	if transport == nil {
		transport = NewTransport()
	}
	c := &Client{transport, retry.Of(r)}
	return c, c.policy.Validate()
}

// NewTransport returns a new transport for uploads: HTTP/1.1, so that each one has
// a connection of its own, with an idle connection kept for each, and a part's
// pages written as they lie.
func NewTransport() *http.Transport { return httpx.NewTransport() }

// Do makes a request that may be sent more than once, with p as its body unless p
// is nil. request returns a new request for each attempt. read gets an answer
// with a status of 200 to 299; nil takes every one. It need not close the body.
// An error of read means that the answer is not usable.
//
// Attempts are repeated, with waits in [sluice.Part.Backoff], after failures of
// the network, answers that are not usable, and the statuses 408, 429 and those
// from 500 on. The error is that of the last attempt; a status other than 200 to
// 299 is a [*StatusError]. If ctx ends, the error matches ctx's error and its
// cause. When Do returns, p's bytes are not touched any more.
//
// An error other than a StatusError below 500 does not tell whether the server
// has done what was asked: see [sluice.ErrFinishUnknown].
func (c *Client) Do(
	ctx context.Context, p *sluice.Part,
	request func(context.Context) (*http.Request, error), read func(*http.Response) error,
) error {
	if read == nil {
		read = func(*http.Response) error { return nil }
	}
	call := retry.Call{Classify: classify}
	if p != nil {
		call.Backoff = p.Backoff
	}
	return c.policy.Do(ctx, call, func(ctx context.Context, a *retry.Attempt) error {
		req, err := request(ctx)
		if err != nil {
			return httpx.Clean(err)
		}
		name := req.Method + " " + httpx.CleanURL(req.URL.String())
		secrets := secretsOf(req)
		refused := func(resp *http.Response) error {
			if resp.StatusCode < 200 || resp.StatusCode > 299 {
				return newStatusError(name, resp, secrets)
			}
			return nil
		}
		return httpx.Call{Name: name, Secrets: secrets, Refused: refused}.Send(c.transport, req, p, a, read)
	})
}

// secretsOf are what a server may quote of a request and an error must not show.
func secretsOf(req *http.Request) []string {
	secrets := httpx.SecretsOf(req.URL)
	header := req.Header
	// net/http sends it so
	if password, ok := req.URL.User.Password(); ok && header.Get("Authorization") == "" {
		sent := http.Request{Header: make(http.Header)}
		sent.SetBasicAuth(req.URL.User.Username(), password)
		header = sent.Header
	}
	whole := header.Get("Authorization")
	_, credentials, _ := strings.Cut(whole, " ")
	_, password, _ := (&http.Request{Header: header}).BasicAuth()
	return append(secrets, whole, credentials, password)
}

// StatusError is an answer with a status other than 200 to 299. Those of 429 and
// 503 match [sluice.ErrSlowDown].
type StatusError struct {
	Call    string // method and URL, without credentials
	Status  int
	Message string // how the body begins

	after time.Duration
}

func newStatusError(name string, resp *http.Response, secrets []string) *StatusError {
	// More than is shown: a secret that is cut off here would not be found.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	return &StatusError{
		Call: name, Status: resp.StatusCode, Message: httpx.Present(string(body), secrets...),
		after: retry.After(resp.Header, time.Now()),
	}
}

func (e *StatusError) Error() string { return httpx.Refusal(e.Call, e.Status, "", e.Message) }

// Is matches [sluice.ErrSlowDown] where the store has too much to do.
func (e *StatusError) Is(target error) bool { return httpx.SlowDown(target, e.Status) }

// classify says what to do about the failure of an attempt.
func classify(err error) retry.Verdict {
	refused, ok := err.(*StatusError)
	if !ok {
		return httpx.Classify(err)
	}
	v := httpx.ClassifyAnswer(refused.Status, true)
	v.After = refused.after
	return v
}
