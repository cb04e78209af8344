package b2backend

import (
	"context"
	"sync"
	"time"
)

// uploadURL is a place to upload to, with its own token. It carries one upload at a time.
type uploadURL struct {
	url, token string
	fetched    time.Time
}

// urlAge is when an upload URL is given up unasked: the service ends it after 24 hours (b2-api: documented), and
// a part would be sent in vain to learn so.
const urlAge = 23 * time.Hour

// urlList is the upload URLs of a large file, or of the bucket, that no upload uses. There are as many as there
// were uploads at once.
type urlList struct {
	client  *client
	method  method
	request any

	mu   sync.Mutex
	free []uploadURL // the last one was used last
}

// take returns a free URL, or fetches one. retrying is told of the fetch's retries.
func (l *urlList) take(ctx context.Context, retrying func(error, time.Duration)) (uploadURL, error) {
	l.mu.Lock()
	for n := len(l.free); n > 0; n = len(l.free) {
		u := l.free[n-1]
		l.free = l.free[:n-1]
		if time.Since(u.fetched) < urlAge {
			l.mu.Unlock()
			return u, nil
		}
	}
	l.mu.Unlock()
	var answer uploadURLAnswer
	if err := l.client.callFor(ctx, l.method, l.request, &answer, retrying); err != nil {
		return uploadURL{}, err
	}
	if answer.AuthorizationToken == "" {
		return uploadURL{}, unusable(l.method.name, "no token")
	}
	if err := l.client.checkServerURL(l.method.name, answer.UploadURL); err != nil {
		return uploadURL{}, err
	}
	return uploadURL{url: answer.UploadURL, token: answer.AuthorizationToken, fetched: time.Now()}, nil
}

// keep gives back a URL that works. One that does not is simply dropped.
func (l *urlList) keep(u uploadURL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, u)
}
