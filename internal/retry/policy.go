package retry

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/sleep"
)

// Of is the policy that a backend's user asks for, with its defaults. It has to be validated.
func Of(r sluice.Retry) Policy {
	return Policy{
		Attempts: r.Attempts, Budget: r.Budget, MaxWait: r.MaxWait, Timeout: r.Timeout, Stall: r.Stall,
	}.Resolve()
}

// Resolve fills what is zero. Without a Budget the policy is for interactive
// use: 10 attempts, some two minutes of failures on average, then the error.
// With a Budget and no Attempts it is for unattended jobs: an hour outlasts an
// outage of half an hour with as much to spare.
func (p Policy) Resolve() Policy {
	maxWait, maxRetryAfter := 64*time.Second, 2*time.Minute
	if p.Budget > 0 && p.Attempts == 0 {
		maxWait, maxRetryAfter = 2*time.Minute, 10*time.Minute
	} else {
		p.Attempts = cmp.Or(p.Attempts, 10)
	}
	p.MaxWait = cmp.Or(p.MaxWait, maxWait)
	p.Base = cmp.Or(p.Base, min(time.Second, p.MaxWait))
	p.MaxRetryAfter = cmp.Or(p.MaxRetryAfter, maxRetryAfter)
	p.Timeout = cmp.Or(p.Timeout, 5*time.Minute)
	p.Stall = cmp.Or(p.Stall, 2*time.Minute)
	return p
}

// slowFactor makes the 5 minutes of a call 50, and the 2 minutes without a byte 20.
const slowFactor = 10

// Slow is the policy for a call during which the store assembles or copies a
// file, with no byte moving meanwhile.
func (p Policy) Slow() Policy {
	p.Timeout *= slowFactor
	p.Stall *= slowFactor
	return p
}

// leastStall is how long an attempt may go on without a byte however little time its call has.
const leastStall = 5 * time.Second

// Within is the policy for a small call that may be repeated and that must
// succeed before ctx ends, such as cancelling or a look-up: an attempt that
// stalls leaves time for two more.
func (p Policy) Within(ctx context.Context) Policy {
	if deadline, ok := ctx.Deadline(); ok {
		p.Stall = min(p.Stall, max(leastStall, time.Until(deadline)/3))
	}
	return p
}

// longestAfter keeps a nonsensical number of seconds from overflowing.
const longestAfter = 365 * 24 * time.Hour

// After reads a Retry-After header, in seconds or as an HTTP date (RFC 9110,
// 10.2.3). It is 0 where there is none, where it cannot be read, and where it
// lies in the past.
func After(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(longestAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestAfter)
}

// How long calls outlive the context they were made with.
const (
	// SettleTime is for learning what became of a finish or a single upload.
	SettleTime = time.Minute
	// StartGrace is for the answer to a start, which has the ID to cancel.
	StartGrace = 5 * time.Second
	// CleanupTime is for cancelling what such a start has begun.
	CleanupTime = 30 * time.Second
)

// Detached returns a context of bounded length that does not end with ctx.
func Detached(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), length)
}

// Poll calls ask until it returns true, at most five times or until ctx ends,
// and reports whether it did. The first wait is the policy's Base; each following
// one is twice as long. It is for changes that a store may still be at work on.
func (p Policy) Poll(ctx context.Context, ask func(context.Context) bool) bool {
	wait := p.Base
	for asked := 1; ; asked++ {
		if ask(ctx) {
			return true
		}
		if asked == 5 || sleep.For(ctx, wait) != nil {
			return false
		}
		wait *= 2
	}
}
