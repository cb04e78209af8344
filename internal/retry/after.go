package retry

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

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
