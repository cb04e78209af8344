package main

import (
	"fmt"
	"time"
)

// silence reports, on standard error, that nothing moves.
type silence struct {
	moved int64     // bytes that had moved at since
	since time.Time // of the last movement
	next  time.Duration
}

// silenceAge is how long nothing moves before that is reported; then it is reported more and
// more rarely.
const silenceAge = 10 * time.Second

// look compares the bytes that have moved with those of the last look, and returns what to
// report, "" for nothing.
func (s *silence) look(now time.Time, moved int64, waitingFor, failure string) string {
	if s.since.IsZero() || moved != s.moved {
		s.moved, s.since, s.next = moved, now, silenceAge
		return ""
	}
	age := now.Sub(s.since)
	if age < s.next {
		return ""
	}
	s.next *= 6
	text := fmt.Sprintf("sluice: nothing has moved for %v: waiting for %s", age.Round(time.Second), waitingFor)
	if failure != "" {
		text += "; last failure: " + failure
	}
	return text
}
