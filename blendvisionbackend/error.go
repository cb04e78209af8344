package blendvisionbackend

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Error is a refusal: an answer of the API, or of the object store that parts go to and files come from, other than
// success. It holds no credentials.
type Error struct {
	Call    string // "files:upload", "put part", "complete-upload", "cancel-upload", "download" or "get file"
	Status  int    // of HTTP
	Code    string // for programs: gRPC's from the API, "NOT_FOUND"; the object store's, "AccessDenied"; "" if a gateway answered
	Message string // for people; secrets in it are redacted
	// RetryAfter is how long the server asked to wait, 0 if it did not.
	RetryAfter time.Duration
}

// Error is "blendvisionbackend: put part: 503 SlowDown: Please reduce your request rate.". The service renews no
// presigned URL: one that was refused is named as the reason.
func (e *Error) Error() string {
	text := "blendvisionbackend: " + exchange.Refusal(e.Call, e.Status, e.Code, e.Message)
	if e.Call == callPut && e.Status == http.StatusForbidden {
		text += "; the presigned URL has expired or was altered, and the service renews none: upload the file again"
	}
	return text
}

// Is matches [sluice.ErrSlowDown] where the service or the object store has too much to do: 429 and 503. Streams then
// upload fewer parts at once.
func (e *Error) Is(target error) bool { return exchange.SlowDown(target, e.Status) }

// named says which call failed with err. An [*Error] says it by itself.
func named(call string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	return fmt.Errorf("blendvisionbackend: %s: %w", call, err)
}

// errUnreadable is an answer that says 200 and is not what is documented. What it answers may have been done.
var errUnreadable = errors.New("unreadable answer")

// maxRefusal is how much of a refusal is read, in bytes.
const maxRefusal = 64 << 10

// refusal reads an answer other than success: JSON from the API, XML from the object store. A gateway's page is neither and
// counts for its status alone.
func refusal(call string, resp *http.Response, secrets []string) error {
	e := &Error{Call: call, Status: resp.StatusCode, RetryAfter: retry.After(resp.Header, time.Now())}
	body, _ := exchange.ReadAll(resp.Body, maxRefusal) // one cut short or too long is not understood below
	if call == callPut || call == callGet {
		var v struct{ Code, Message string }
		if xml.Unmarshal(body, &v) == nil {
			e.Code, e.Message = v.Code, v.Message
		}
	} else {
		var v struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if json.Unmarshal(body, &v) == nil {
			e.Code, e.Message = codeName(v.Code), v.Message
		}
	}
	e.Code, e.Message = exchange.Present(e.Code, secrets...), exchange.Present(e.Message, secrets...)
	return e
}

// codeName is the name of a gRPC code (google.rpc.Code), which the API gives as a number (documented); "" for 0: it gave none.
func codeName(code int) string {
	names := [...]string{
		"", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", codeNotFound, "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if code < 0 || code >= len(names) {
		return strconv.Itoa(code)
	}
	return names[code]
}

const codeNotFound = "NOT_FOUND"

// judge says which failures are worth another attempt: 429, 500, 503 and 504 (documented for the API; the object
// store is taken to be alike), and connections and answers that broke; but not a server that nobody vouches for.
func judge(err error) retry.Verdict {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok && exchange.Untrusted(err):
		return retry.Verdict{Action: retry.Stop}
	case !ok:
		return retry.Verdict{Action: retry.BackOff}
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retry.Verdict{Action: retry.BackOff, After: e.RetryAfter}
	}
	return retry.Verdict{Action: retry.Stop}
}

// gone says that the server knows nothing of what a call was about.
func gone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound && e.Code == codeNotFound
}

// certain says that a call that failed with err was not carried out: it was refused as it stood, or never left.
// A server error or a broken connection leaves that open.
func certain(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != 499
	}
	return exchange.NeverSent(err)
}
