package b2backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

const authorizeAccount = "b2_authorize_account"

// account is what one login answered. It is not changed afterwards.
type account struct {
	id     string
	token  string // valid for at most 24 hours (documented)
	apiURL string
	// downloadURL is checked where it is used: uploads need none.
	downloadURL string

	minPart      int64
	capabilities []string
	namePrefix   string   // names must begin with it; "" if any may be used
	buckets      []bucket // the only ones that may be used; nil if any may be
	anyBucket    bool
}

// bucket is an id and a name, which is "" if the bucket of a restricted key was deleted.
type bucket struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// can tells whether the key has a capability. An answer without a list leaves it to the service to refuse.
func (a *account) can(capability string) bool {
	return len(a.capabilities) == 0 || slices.Contains(a.capabilities, capability)
}

// session holds the account token and renews it. Logins are rated at some 20 a minute (reported), so
// any number of calls that meet a dead token share one, be its outcome a token or a failure.
type session struct {
	credentials Credentials
	endpoint    string

	mu      sync.Mutex
	current *account // nil: not logged in, or the token is dead
	first   *account // what the first login answered
	flight  *login   // the login under way
}

// login is one login that calls wait for.
type login struct {
	done    chan struct{}
	account *account
	err     error
}

// expire marks the token of a as dead, unless it was replaced already.
func (s *session) expire(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == a {
		s.current = nil
	}
}

// alive is the account whose token is not known to be dead, nil if there is none.
func (s *session) alive() *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// account returns one whose token is not known to be dead, logging in if need be. Of concurrent callers one
// logs in. If it gives up because its own context ended, another takes over.
func (c *client) account(ctx context.Context) (*account, error) {
	s := &c.session
	for {
		s.mu.Lock()
		if a := s.current; a != nil {
			s.mu.Unlock()
			return a, nil
		}
		flight := s.flight
		if flight == nil {
			flight = &login{done: make(chan struct{})}
			s.flight = flight
			s.mu.Unlock()
			c.logIn(ctx, flight)
			return flight.account, flight.err
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, retry.Ended(ctx, nil)
		case <-flight.done:
		}
		if flight.err != nil && !errors.Is(flight.err, errLoginAbandoned) {
			return nil, flight.err
		}
	}
}

// errLoginAbandoned is in the error of a login whose caller left.
var errLoginAbandoned = errors.New("b2backend: login abandoned")

// logIn makes the login and publishes its outcome.
func (c *client) logIn(ctx context.Context, flight *login) {
	s := &c.session
	a, err := c.authorize(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", errLoginAbandoned, err)
	case err != nil:
	case s.first == nil:
		s.first = a
	case s.first.id != a.id:
		err = fmt.Errorf("b2backend: logging in again gave another account: %s, not %s", a.id, s.first.id)
	}
	if err == nil {
		flight.account, s.current = a, a
	}
	flight.err = err
	s.flight = nil
	close(flight.done)
}

// authorize logs in, with retries.
func (c *client) authorize(ctx context.Context) (*account, error) {
	c.log.Debug("b2: logging in", slog.String("key", c.session.credentials.KeyID))
	var a *account
	err := c.policy.Do(ctx, retry.Call{
		Judge: func(err error) retry.Verdict {
			d := decide(apiEndpoint, err)
			if d.login {
				// The key itself is refused.
				d = final
			}
			v := retry.Verdict{Action: d.action}
			if e, ok := errors.AsType[*Error](err); ok {
				v.After = e.RetryAfter
			}
			return v
		},
		Backoff: c.backoff(nil),
	}, func(ctx context.Context, try *retry.Attempt) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.session.endpoint+apiVersion+authorizeAccount, nil)
		if err != nil {
			return exchange.Clean(err)
		}
		req.SetBasicAuth(c.session.credentials.KeyID, c.session.credentials.Key)
		var answer authorizeAnswer
		err = c.exchange(authorizeAccount, req, &answer, func(req *http.Request, read func(*http.Response) error) error {
			return exchange.Do(c.transport, req, try, read)
		})
		if err != nil {
			return err
		}
		a, err = answer.account(c.plainHTTP)
		return err
	})
	return a, err
}

// authorizeAnswer is the answer of version 4 (documented).
type authorizeAnswer struct {
	AccountID          string `json:"accountId"`
	AuthorizationToken string `json:"authorizationToken"`
	APIInfo            struct {
		StorageAPI struct {
			APIURL                  string `json:"apiUrl"`
			DownloadURL             string `json:"downloadUrl"`
			AbsoluteMinimumPartSize int64  `json:"absoluteMinimumPartSize"`
			Allowed                 struct {
				Buckets      []bucket `json:"buckets"`
				Capabilities []string `json:"capabilities"`
				NamePrefix   string   `json:"namePrefix"`
			} `json:"allowed"`
		} `json:"storageApi"`
	} `json:"apiInfo"`
}

func (r *authorizeAnswer) account(plainHTTP bool) (*account, error) {
	s := &r.APIInfo.StorageAPI
	if r.AccountID == "" || r.AuthorizationToken == "" {
		return nil, unusable(authorizeAccount, "no account or no token")
	}
	if _, err := exchange.CheckURL(s.APIURL, plainHTTP); err != nil {
		return nil, unusable(authorizeAccount, "%v", err)
	}
	if s.AbsoluteMinimumPartSize < 1 || s.AbsoluteMinimumPartSize > maxPart {
		return nil, unusable(authorizeAccount, "absoluteMinimumPartSize is %d bytes", s.AbsoluteMinimumPartSize)
	}
	return &account{
		id: r.AccountID, token: r.AuthorizationToken, apiURL: strings.TrimSuffix(s.APIURL, "/"),
		downloadURL: strings.TrimSuffix(s.DownloadURL, "/"),
		minPart:     s.AbsoluteMinimumPartSize, capabilities: s.Allowed.Capabilities,
		namePrefix: s.Allowed.NamePrefix, buckets: s.Allowed.Buckets, anyBucket: s.Allowed.Buckets == nil,
	}, nil
}
