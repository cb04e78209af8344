package blendvisionbackend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

// Credentials are what every request to the API carries (documented). They are
// shown by no formatter, encoder, log or error, wherever they are.
type Credentials struct {
	shown
	token, orgID secret.Value[string]
}

// shown has what is printed of credentials: a name.
type shown = secret.Name

// NewCredentials returns the credentials of an API token and the id of the
// organization that it belongs to.
func NewCredentials(token, orgID string) Credentials {
	return Credentials{secret.Named("BlendVision credentials"), secret.New(token), secret.New(orgID)}
}

// check refuses what no header carries.
func (c Credentials) check() error {
	for _, v := range []struct{ name, value string }{{"token", c.token.Reveal()}, {"organization id", c.orgID.Reveal()}} {
		switch {
		case v.value == "":
			return fmt.Errorf("credentials: the %s is empty", v.name)
		case strings.ContainsFunc(v.value, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Errorf("credentials: the %s has a character that no header carries", v.name)
		}
	}
	return nil
}

// Options are how the service is reached.
type Options struct {
	// Endpoint is the URL of the API: what stands before /bv/cms/v1. It is
	// required, because the documented examples name no host.
	Endpoint string
	// AllowPlainHTTP permits URLs of plain http off this machine, for the
	// endpoint and for presigned URLs. The credentials are then readable on the
	// network.
	AllowPlainHTTP bool

	// Renew, if not nil, returns the credentials for the calls that follow when the
	// service has refused the token: it may have been replaced by another of the
	// same organization. The call is then repeated as Retry says, each time with
	// the result of another call of Renew. If that fails, the last credentials are
	// used. It may be called concurrently.
	Renew func(context.Context) (Credentials, error)

	// Transport carries the requests. nil is one of the Backend's own:
	// HTTP/1.1, so that each upload has a connection to itself, with as many
	// idle connections as there are uploads. Of an [http.Client] give the
	// Transport: redirects are not followed and no cookies are kept.
	Transport http.RoundTripper

	// Logger is told of sessions and retries, at debug level, and, as warnings,
	// of sessions that may be left because the answer to their start was lost.
	// nil is silent. Credentials are never logged.
	Logger *slog.Logger

	// Retry is how failures are met. Presigned URLs may expire in a long Budget.
	Retry sluice.Retry
}

// resolve validates, and fills the defaults.
func (o *Options) resolve(credentials Credentials) (*client, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if err := credentials.check(); err != nil {
		return nil, err
	}
	var err error
	if r.Endpoint, err = checkEndpoint(r.Endpoint, r.AllowPlainHTTP); err != nil {
		return nil, fmt.Errorf("Options.Endpoint: %w", err)
	}
	if err := retry.Of(r.Retry).Validate(); err != nil {
		return nil, err
	}
	if r.Transport == nil {
		r.Transport = httpx.NewTransport()
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return &client{
		transport: r.Transport, endpoint: r.Endpoint, keys: &keys{renew: r.Renew, current: &credentials},
		hosts: httpx.NewHosts(r.Endpoint, r.AllowPlainHTTP, nil), log: r.Logger, policy: retry.Of(r.Retry),
	}, nil
}

// checkEndpoint returns the endpoint without a slash at the end.
func checkEndpoint(raw string, plainHTTP bool) (string, error) {
	if raw == "" {
		return "", errors.New("it is empty; set it to the URL of the API")
	}
	u, err := httpx.CheckEndpoint(raw, plainHTTP)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), "/"), nil
}
