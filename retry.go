package sluice

import "time"

// Retry is how a backend meets failures. It is an option of the backends that speak over a network, the same for all
// of them; a writer retries nothing by itself. Zero fields are defaults, negative ones are refused. Waits double from
// one second to MaxWait, in full jitter; a Retry-After takes their place.
type Retry struct {
	// Attempts is the most attempts of one call. 0 is 10, some two minutes of failures; with a Budget it is
	// as many as fit in there.
	Attempts int
	// Budget is the total time that one call may spend on failures. It is how an unattended job outlasts an
	// outage: an hour covers one of half an hour. 0 means no limit but Attempts.
	Budget time.Duration
	// MaxWait is the longest wait between attempts. 0 is 64 seconds, with a Budget two minutes.
	MaxWait time.Duration
	// Timeout is how long an attempt may last, beside the time that its bytes take at 16 KiB/s.
	// 0 is five minutes.
	Timeout time.Duration
	// Stall is how long a connection may move no byte. 0 is two minutes.
	Stall time.Duration
}
