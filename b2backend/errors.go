package b2backend

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

// Error is an answer of the service other than success.
type Error struct {
	Call    string // "b2_upload_part"
	Status  int    // of HTTP
	Code    string // for programs: "bad_request", "storage_cap_exceeded"; "" if a gateway answered
	Message string // for people; tokens in it are redacted
	// RetryAfter is how long the service asked to wait, 0 if it did not.
	RetryAfter time.Duration
}

// Error is "b2_upload_part: 503 service_unavailable: no tomes available".
func (e *Error) Error() string { return httpx.Refusal(e.Call, e.Status, e.Code, e.Message) }

// Is matches [sluice.ErrSlowDown] where the service has too much to do: 429 and
// 503. Streams then upload fewer parts at once.
func (e *Error) Is(target error) bool { return httpx.SlowDown(target, e.Status) }

// quotedToken matches the token in the message about concurrent use (reported).
// It is cut even if the token is not one of ours.
var quotedToken = regexp.MustCompile(`(?i)(auth(?:orization)? token:? )[^\s()]*[0-9_=/+][^\s()]*`)

// readError makes an Error of an answer, whose body may be anything: a gateway
// answers HTML.
func readError(call string, resp *http.Response, secrets []string) *Error {
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	e := &Error{Call: call, Status: resp.StatusCode, RetryAfter: retry.After(resp.Header, time.Now())}
	if decode.JSON(resp.Body, &said, decode.Refusal) == nil {
		e.Code, e.Message = presentable(said.Code, secrets), presentable(said.Message, secrets)
	}
	return e
}

// presentable is what a server said in a form that can be shown.
func presentable(text string, secrets []string) string {
	return httpx.Present(quotedToken.ReplaceAllString(text, "${1}"+secret.Redacted), secrets...)
}

// sameID returns why an answer is not usable that names another file. It does
// not repeat the ID, which may be any text of the server.
func sameID(got, want string) error {
	if got != want {
		return errors.New("it is about another file")
	}
	return nil
}

// checkID returns why an answer is not usable that does not name the file.
func checkID(id string) error {
	if id == "" {
		return errors.New("no file id")
	}
	return nil
}
