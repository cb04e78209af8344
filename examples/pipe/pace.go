package main

import (
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// limiter lets so many bytes a second pass, and what was not used of the last eighth of a second, at most 1 MiB. It may
// be used concurrently.
type limiter struct{ bucket *rate.Limiter }

func newLimiter(bytes int64) limiter {
	return limiter{rate.NewLimiter(rate.Limit(bytes), int(min(max(bytes/8, 1), 1<<20)))}
}

// most is how many bytes can be reserved at once.
func (l limiter) most() int { return l.bucket.Burst() }

// reserve takes n bytes, at most most, and returns how long they have to wait.
func (l limiter) reserve(n int) time.Duration {
	now := time.Now()
	return l.bucket.ReserveN(now, n).DelayFrom(now)
}

// paced is a reader of at most so many bytes a second.
type paced struct {
	ctx     context.Context // ends the waiting; io.Reader has none
	r       io.Reader
	limiter limiter
}

// pace limits r to bytes a second.
func pace(ctx context.Context, r io.Reader, bytes int64) *paced {
	return &paced{ctx, r, newLimiter(bytes)}
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b[:min(len(b), p.limiter.most())])
	timer := time.NewTimer(p.limiter.reserve(n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return n, err
	case <-p.ctx.Done():
		return n, context.Cause(p.ctx)
	}
}
