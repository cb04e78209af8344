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
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

const authorizeAccount = "b2_authorize_account"

// account is what one login answered. It is not changed afterwards.
type account struct {
	id     string
	token  secret.Value[string] // valid for at most 24 hours (documented)
	apiURL string
	// downloadURL is checked where it is used: uploads need none.
	downloadURL string

	minPart      int64
	capabilities []string
	namePrefix   string   // names must begin with it; "" if any may be used
	buckets      []bucket // the only ones that may be used; nil if any may be
	anyBucket    bool
}

// bucket is an id and a name, which is "" if the bucket of a restricted key was
// deleted.
type bucket struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// can reports whether the key has a capability. An answer without a list leaves
// it to the service to refuse.
func (a *account) can(capability string) bool {
	return len(a.capabilities) == 0 || slices.Contains(a.capabilities, capability)
}

// session holds the account token and renews it. Logins are rated at some 20 a
// minute (reported), so any number of calls that meet a dead token share one,
// be its outcome a token or a failure.
type session struct {
	renew    func(context.Context) (Credentials, error) // see Options
	endpoint string
	ahead    atomic.Int64 // how far the service's clock is ahead of this machine's

	mu          sync.Mutex
	credentials Credentials
	current     *account // nil: not logged in, or the token is dead
	first       *account // what the first login answered
	flight      *login   // the login under way
}

// key is the credentials that were used last, or are to be used.
func (s *session) key() Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.credentials
}

func (s *session) renewed(ctx context.Context) error {
	credentials, err := s.renew(ctx)
	if err == nil {
		err = credentials.check()
	}
	if err != nil {
		return fmt.Errorf("reading the credentials again: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials = credentials
	return nil
}

func (s *session) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

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

// account returns one whose token is not known to be dead, logging in if need
// be. Of concurrent callers one logs in. If it gives up because its own context
// ended, another takes over.
func (c *client) account(ctx context.Context) (*account, error) {
	s := c.session
	for {
		s.mu.Lock()
		if a := s.current; a != nil {
			s.mu.Unlock()
			return a, nil
		}
		flight, again := s.flight, s.first != nil
		if flight == nil {
			flight = &login{done: make(chan struct{})}
			s.flight = flight
			s.mu.Unlock()
			c.logIn(ctx, flight, again)
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

func (c *client) logIn(ctx context.Context, flight *login, again bool) {
	s := c.session
	a, err := c.authorize(ctx, again)
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

// authorize logs in, with retries. again reports whether it is not the first
// login.
func (c *client) authorize(ctx context.Context, again bool) (*account, error) {
	var a *account
	renewing := again && c.session.renew != nil
	err := c.policy.Within(ctx).Do(ctx, retry.Call{
		Classify: func(err error) retry.Verdict {
			v := classify(apiEndpoint, err).Verdict
			// the key is refused
			if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized {
				v.Action = retry.Stop
				if renewing {
					v.Action = retry.BackOff
				}
			}
			return v
		},
		Backoff: c.logged(nil),
	}, func(ctx context.Context, try *retry.Attempt) (err error) {
		var renewal error
		if renewing {
			renewal = c.session.renewed(ctx)
		}
		if a, err = c.authorizeOnce(ctx, try); err != nil && renewal != nil {
			err = fmt.Errorf("%w (%v)", err, httpx.Clean(renewal, c.session.key().key.Reveal()))
		}
		return err
	})
	return a, err
}

func (c *client) authorizeOnce(ctx context.Context, try *retry.Attempt) (a *account, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.session.endpoint+apiVersion+authorizeAccount, nil)
	if err != nil {
		return nil, httpx.Clean(err)
	}
	key := c.session.key()
	c.log.Debug("b2: logging in", slog.String("key", key.keyID))
	req.SetBasicAuth(key.keyID, key.key.Reveal())
	var answer authorizeAnswer
	err = c.exchange(authorizeAccount, req, nil, try, into(&answer, func() (err error) {
		a, err = answer.account(c.hosts)
		return err
	}))
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

// IDs are those of the account and of the buckets that the key is restricted
// to.
func (r *authorizeAnswer) IDs() []string {
	ids := []string{r.AccountID}
	for _, b := range r.APIInfo.StorageAPI.Allowed.Buckets {
		ids = append(ids, b.ID)
	}
	return ids
}

func (r *authorizeAnswer) account(hosts httpx.Hosts) (*account, error) {
	s := &r.APIInfo.StorageAPI
	if r.AccountID == "" || r.AuthorizationToken == "" {
		return nil, errors.New("no account or no token")
	}
	if _, err := hosts.Check(s.APIURL); err != nil {
		return nil, err
	}
	if s.AbsoluteMinimumPartSize < 1 || s.AbsoluteMinimumPartSize > maxPart {
		return nil, fmt.Errorf("absoluteMinimumPartSize is %d bytes", s.AbsoluteMinimumPartSize)
	}
	return &account{
		id: r.AccountID, token: secret.New(r.AuthorizationToken), apiURL: strings.TrimSuffix(s.APIURL, "/"),
		downloadURL: strings.TrimSuffix(s.DownloadURL, "/"),
		minPart:     s.AbsoluteMinimumPartSize, capabilities: s.Allowed.Capabilities,
		namePrefix: s.Allowed.NamePrefix, buckets: s.Allowed.Buckets, anyBucket: s.Allowed.Buckets == nil,
	}, nil
}
