package httpx

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice"
)

// TransportError is a call that brought no answer.
type TransportError struct {
	Call string // as the store names it
	Err  error  // clean
}

func (e *TransportError) Error() string { return e.Call + ": " + e.Err.Error() }

func (e *TransportError) Unwrap() error { return e.Err }

// AnswerError is a success that cannot be one: garbled, or about other bytes than those sent.
type AnswerError struct {
	Call   string // as the store names it
	Detail string // clean
}

func (e *AnswerError) Error() string { return e.Call + ": unusable answer: " + e.Detail }

// SlowDown tells whether target is [sluice.ErrSlowDown] and a refusal of that
// status matches it: the store has too much to do (429, 503).
func SlowDown(target error, status int) bool {
	return target == sluice.ErrSlowDown && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable)
}

// Refusal is the text of an answer that is an error: "UploadPart: 503 SlowDown:
// Please reduce your request rate." Without a code, as from a gateway, it is
// the status in words.
func Refusal(call string, status int, code, message string) string {
	text := fmt.Sprintf("%s: %d %s", call, status, cmp.Or(code, http.StatusText(status)))
	if message != "" {
		text += ": " + message
	}
	return text
}
