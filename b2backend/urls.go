package b2backend

import (
	"context"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/retry"
)

// uploadURL is a place to upload to, with its own token. It carries one upload at a time.
type uploadURL struct {
	url, token string
	fetched    time.Time
}

// urlAge is when an upload URL is given up unasked: the service ends it after 24 hours (documented), and
// a part would be sent in vain to learn so.
const urlAge = 23 * time.Hour

// aheadTime is how long a URL is waited for that nobody needs yet: the part beside it may be stored long since.
const aheadTime = 10 * time.Second

// urlList is the upload URLs of a large file, or of the bucket, that no upload uses. There are as many as there
// were uploads at once.
type urlList struct {
	client  *client
	method  method
	request any

	most int // URLs to have ready, as many as uploads at once; 0 for none

	mu   sync.Mutex
	free []uploadURL // the last one was used last
	// have is how many there are, free and in use. One that was asked for ahead in vain counts, so that nobody does it
	// again and again.
	have int
}

// begin is called before the upload of a part, and what it returns after it. An upload that need not fetch a URL for itself
// fetches one beside it for another to come, until there are as many as uploads may run at once: at its end a stream is cut
// over all of them, and would wait for their URLs. A stream that keeps them all busy has them already. Nobody logs in for
// that: a login is tried again for as long as the policy says, and the part would wait for it.
func (l *urlList) begin(ctx context.Context) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var fetching sync.WaitGroup
	if a := l.client.session.alive(); a != nil && len(l.free) > 0 && l.have < l.most {
		l.have++
		fetching.Go(func() {
			if u, err := l.fetchOnce(ctx, a); err == nil { // else who needs one asks again
				l.keep(u)
			}
		})
	}
	return fetching.Wait
}

// take returns a free URL, or fetches one. backoff hears of the fetch's retries.
func (l *urlList) take(ctx context.Context, backoff retry.Backoff) (uploadURL, error) {
	l.mu.Lock()
	for n := len(l.free); n > 0; n = len(l.free) {
		u := l.free[n-1]
		l.free = l.free[:n-1]
		if time.Since(u.fetched) < urlAge {
			l.mu.Unlock()
			return u, nil
		}
		l.have--
	}
	l.have++
	l.mu.Unlock()
	var answer uploadURLAnswer
	if err := l.client.callFor(ctx, l.method, l.request, &answer, func() error { return l.check(&answer) }, backoff); err != nil {
		l.drop()
		return uploadURL{}, err
	}
	return answer.uploadURL(), nil
}

// fetchOnce fetches a URL in one short attempt. That the account's token is dead is not kept from the calls that follow.
func (l *urlList) fetchOnce(ctx context.Context, a *account) (uploadURL, error) {
	ctx, cancel := context.WithTimeout(ctx, aheadTime)
	defer cancel()
	var answer uploadURLAnswer
	err := l.client.post(ctx, a, l.method, l.request, &answer)
	if err == nil {
		err = l.check(&answer)
	} else if decide(apiEndpoint, err).login {
		l.client.session.expire(a)
	}
	if err != nil {
		return uploadURL{}, err
	}
	return answer.uploadURL(), nil
}

// check says why an answer is not usable.
func (l *urlList) check(answer *uploadURLAnswer) error {
	if answer.AuthorizationToken == "" {
		return unusable(l.method.name, "no token")
	}
	return l.client.checkServerURL(l.method.name, answer.UploadURL)
}

// uploadURL is the URL of an answer that just came.
func (a *uploadURLAnswer) uploadURL() uploadURL {
	return uploadURL{url: a.UploadURL, token: a.AuthorizationToken, fetched: time.Now()}
}

// drop counts a URL as gone that does not work, or did not come.
func (l *urlList) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.have--
}

// keep gives back a URL that works.
func (l *urlList) keep(u uploadURL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, u)
}
