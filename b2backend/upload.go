package b2backend

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

type upload struct {
	name    string
	urls    *urlList
	part    *sluice.Part
	header  http.Header
	secrets []string
	read    func(*http.Response) error

	at           uploadURL
	held         bool // at is ours, and works as far as is known
	unauthorized bool // the last attempt was
}

func sha1Of(p *sluice.Part) (string, error) {
	sum := p.Digests.Get("sha1")
	if len(sum) != 20 {
		return "", fmt.Errorf("b2backend: part %d comes without its SHA-1", p.Number)
	}
	return hex.EncodeToString(sum), nil
}

func (u *upload) retries() retry.Call {
	return retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			if !u.held {
				u.at, err = u.urls.take(ctx, u.part.Backoff)
				u.held = err == nil
			}
			return err
		},
		Classify: u.classify,
		Backoff:  u.urls.client.logged(u.part.Backoff),
	}
}

// classify classifies a failed attempt. A URL is kept only if the attempt shows
// that it is alive.
func (u *upload) classify(err error) retry.Verdict {
	found := classify(uploadEndpoint, err)
	u.held = found.keepURL
	if found.once && u.unauthorized {
		found.Action = retry.Stop
	}
	u.unauthorized = found.once
	return found.Verdict
}

// release gives the URL back once there is no further attempt.
func (u *upload) release() {
	if u.held {
		u.urls.keep(u.at)
	}
}

func (u *upload) send(ctx context.Context, try *retry.Attempt) error {
	u.held = false
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.at.url, nil)
	if err != nil {
		return httpx.Clean(err)
	}
	req.Header = u.header.Clone()
	req.Header.Set("Authorization", u.at.token.Reveal())
	err = u.urls.client.exchange(u.name, req, u.part, try, u.read, u.secrets...)
	u.held = err == nil
	return err
}

// uploadURL is a place to upload to, with its own token. It carries one upload
// at a time.
type uploadURL struct {
	url     string
	token   secret.Value[string]
	fetched time.Time
}

// urlAge is when an upload URL is given up unasked: the service ends it after
// 24 hours (documented), and a part would be sent in vain to learn so.
const urlAge = 23 * time.Hour

// urlList is the upload URLs of a large file, or of the bucket, that no upload
// uses. There are as many as there were uploads at once.
type urlList struct {
	client  *client
	method  method
	request any

	mu   sync.Mutex
	free []uploadURL // the last one was used last
}

// take returns a free URL, or fetches one. backoff hears of the fetch's
// retries.
func (l *urlList) take(ctx context.Context, backoff retry.Backoff) (uploadURL, error) {
	if u, ok := l.pop(); ok {
		return u, nil
	}
	var answer uploadURLAnswer
	k := &call{method: l.method, request: l.request, backoff: backoff}
	k.read = into(&answer, func() error {
		if answer.AuthorizationToken == "" {
			return errors.New("no token")
		}
		_, err := l.client.hosts.Check(answer.UploadURL)
		return err
	})
	if err := l.client.do(ctx, k); err != nil {
		return uploadURL{}, err
	}
	return uploadURL{url: answer.UploadURL, token: secret.New(answer.AuthorizationToken), fetched: time.Now()}, nil
}

func (l *urlList) pop() (uploadURL, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := len(l.free); n > 0; n = len(l.free) {
		u := l.free[n-1]
		l.free = l.free[:n-1]
		if time.Since(u.fetched) < urlAge {
			return u, true
		}
	}
	return uploadURL{}, false
}

func (l *urlList) keep(u uploadURL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, u)
}
