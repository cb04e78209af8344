package main

import (
	"context"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// paced is a reader of at most so many bytes a second.
type paced struct {
	ctx     context.Context // ends the waiting; io.Reader has none
	r       io.Reader
	limiter *rate.Limiter
}

// pace limits r to bytes a second, counted in steps of an eighth of a second.
func pace(ctx context.Context, r io.Reader, bytes int64) *paced {
	burst := min(max(bytes/8, 1), 1<<20)
	return &paced{ctx, r, rate.NewLimiter(rate.Limit(bytes), int(burst))}
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b[:min(len(b), p.limiter.Burst())])
	timer := time.NewTimer(p.limiter.ReserveN(time.Now(), n).Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return n, err
	case <-p.ctx.Done():
		return n, context.Cause(p.ctx)
	}
}
