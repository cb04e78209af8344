package b2backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

// DefaultEndpoint is where an account is authorized. All other hosts come from
// the answers.
const DefaultEndpoint = "https://api.backblazeb2.com"

// shown has what is printed of credentials and encryption: a name.
type shown = secret.Name

// Credentials are an application key. The key is shown by no formatter,
// encoder, log or error, wherever the Credentials are.
type Credentials struct {
	shown
	keyID string
	key   secret.Value[string]
}

// NewCredentials returns the credentials of an application key: its
// applicationKeyId and applicationKey.
func NewCredentials(keyID, key string) Credentials {
	return Credentials{secret.Named("b2 key " + keyID), keyID, secret.New(key)}
}

func (c Credentials) check() error {
	switch {
	case c.keyID == "":
		return errors.New("credentials: the key ID is empty")
	case c.key.Reveal() == "":
		return errors.New("credentials: the application key is empty")
	}
	return nil
}

// Options are how a store is reached. The zero value, or nil, is the defaults.
type Options struct {
	// Endpoint is where the account is authorized; "" is [DefaultEndpoint].
	Endpoint string
	// AllowPlainHTTP permits URLs of plain http off this machine. The
	// credentials are then readable on the network.
	AllowPlainHTTP bool
	// Domains are those of the hosts that the service's answers name, for the
	// API, uploads and downloads: they get the account's token, the data and
	// customer keys. nil is backblazeb2.com and backblaze.com for
	// [DefaultEndpoint], and any domain for another Endpoint. Whatever they
	// are, a service elsewhere cannot name this machine.
	Domains []string

	// Renew, if not nil, returns the credentials to log in with from the second
	// login on: when the account token has expired, after a day at most, the
	// key may have been replaced by another of the same account. A login that
	// is refused is then repeated as Retry says, each time with the result of
	// another call. If it fails, the last credentials are used.
	Renew func(context.Context) (Credentials, error)

	// Transport carries the requests. nil is one of the Backend's own:
	// HTTP/1.1, so that each upload has a connection to itself, with as many
	// idle connections as there are uploads, which close after a minute. Of an
	// [http.Client] give the Transport: redirects are not followed and no
	// cookies are kept.
	Transport http.RoundTripper

	// UserAgent is put before the package's own.
	UserAgent string

	// Logger is told of retries and logins, at debug level, and, as warnings,
	// of large files that starts may have left whose answers were lost. nil is
	// silent. Tokens and keys are never logged.
	Logger *slog.Logger

	// Retry is how failures are met. Of outages the service's support speaks of
	// 30 minutes, which a Budget of an hour covers.
	Retry sluice.Retry
}

func (o *Options) resolve() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Endpoint == "" {
		r.Endpoint = DefaultEndpoint
	}
	if r.Endpoint == DefaultEndpoint && r.Domains == nil {
		// API and downloads, uploads (recorded)
		r.Domains = []string{"backblazeb2.com", "backblaze.com"}
	}
	if _, err := httpx.CheckEndpoint(r.Endpoint, r.AllowPlainHTTP); err != nil {
		return r, fmt.Errorf("b2backend: endpoint: %w", err)
	}
	if err := retry.Of(r.Retry).Validate(); err != nil {
		return r, fmt.Errorf("b2backend: %w", err)
	}
	if r.Transport == nil {
		r.Transport = httpx.NewTransport()
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.UserAgent != "" {
		r.UserAgent += " "
	}
	r.UserAgent += "sluice-b2backend"
	return r, nil
}
