package retry

import (
	"cmp"
	"time"

	"github.com/c1508ce4/sluice"
)

// Of is the policy that a backend's user asks for, with its defaults. It has to be validated.
func Of(r sluice.Retry) Policy {
	return Policy{
		Attempts: r.Attempts, Budget: r.Budget, MaxWait: r.MaxWait, Timeout: r.Timeout, Stall: r.Stall,
	}.Resolve()
}

// Resolve fills what is zero. Without a Budget the policy is for somebody who waits: 10 attempts, some two
// minutes of failures on average, then the error. With a Budget and no Attempts it is for unattended jobs:
// an hour outlasts an outage of half an hour with as much to spare.
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
	p.MinRate = cmp.Or(p.MinRate, 16<<10)
	p.Stall = cmp.Or(p.Stall, 2*time.Minute)
	return p
}

// Unlimited is the policy for attempts that limit themselves, by [Policy.Once] for example.
func (p Policy) Unlimited() Policy {
	p.Timeout, p.Stall = 0, 0
	return p
}
