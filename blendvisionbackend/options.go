package blendvisionbackend

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Credentials are what every request to the API carries (documented). They are shown by no String, log or error.
type Credentials struct {
	Token string // the API token
	OrgID string // the id of the organization that the token belongs to
}

// String says nothing about the credentials.
func (Credentials) String() string { return "BlendVision credentials" }

// Format prints [Credentials.String] for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue is [Credentials.String].
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// check refuses what no header carries.
func (c Credentials) check() error {
	for _, v := range []struct{ name, value string }{{"Token", c.Token}, {"OrgID", c.OrgID}} {
		switch {
		case v.value == "":
			return fmt.Errorf("empty Credentials.%s", v.name)
		case strings.ContainsFunc(v.value, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Errorf("a character in Credentials.%s that no header carries", v.name)
		}
	}
	return nil
}

// Options are how the service is reached.
type Options struct {
	// Endpoint is the URL of the API: what stands before /bv/cms/v1. It is required, because the documented
	// examples name no host.
	Endpoint string
	// AllowPlainHTTP permits URLs of plain http off this machine, for the endpoint and for presigned URLs. The
	// credentials are then readable on the network.
	AllowPlainHTTP bool

	// Transport carries the requests. nil is one of the Backend's own: HTTP/1.1, so that each upload has a
	// connection to itself, with as many idle connections as there are uploads. Of an [http.Client] give the
	// Transport: redirects are not followed and no cookies are kept.
	Transport http.RoundTripper

	// Logger is told of sessions and retries, at debug level. nil is silent. Credentials are never logged.
	Logger *slog.Logger

	// Retry is how failures are met. Presigned URLs may expire in a long Budget.
	Retry sluice.Retry
}

// resolve fills the defaults and validates.
func (o *Options) resolve() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	var err error
	if r.Endpoint, err = checkEndpoint(r.Endpoint, r.AllowPlainHTTP); err != nil {
		return r, fmt.Errorf("Options.Endpoint: %w", err)
	}
	if err := retry.Of(r.Retry).Validate(); err != nil {
		return r, err
	}
	if r.Transport == nil {
		r.Transport = exchange.NewTransport()
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r, nil
}

// checkEndpoint returns the endpoint without a slash at the end.
func checkEndpoint(raw string, plainHTTP bool) (string, error) {
	if raw == "" {
		return "", errors.New("it is empty; set it to the URL of the API")
	}
	u, err := exchange.CheckEndpoint(raw, plainHTTP)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), "/"), nil
}
