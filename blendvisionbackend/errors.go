package blendvisionbackend

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Error is a refusal: an answer of the API, or of the object store that parts
// go to and files come from, other than success. It holds no credentials.
type Error struct {
	// "files:upload", "put part", "complete-upload", "cancel-upload",
	// "download" or "get file"
	Call   string
	Status int // of HTTP
	// for programs: gRPC's from the API, "NOT_FOUND"; the object store's,
	// "AccessDenied"; "" if a gateway answered
	Code    string
	Message string // for people; secrets in it are redacted
	// RetryAfter is how long the server asked to wait, 0 if it did not.
	RetryAfter time.Duration
	// Details are what the API says in details of google.rpc.Status.
	Details []Detail
}

// Detail is one detail of an [Error]: a google.rpc.ErrorInfo or BadRequest. Of
// other types it is the Type alone.
type Detail struct {
	Type           string // the @type, "type.googleapis.com/google.rpc.BadRequest"
	Reason, Domain string // of an ErrorInfo
	Violations     []Violation
}

// Violation is a field of the request that the API refused.
type Violation struct{ Field, Description string }

// Error is "blendvisionbackend: put part: 503 SlowDown: Please reduce your
// request rate.". The service renews no presigned URL: one that was refused is
// named as the reason.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("blendvisionbackend: " + httpx.Refusal(e.Call, e.Status, e.Code, e.Message))
	for _, d := range e.Details {
		if d.Reason != "" {
			text.WriteString("; reason " + d.Reason)
		}
		for _, v := range d.Violations {
			text.WriteString("; " + v.Field + ": " + v.Description)
		}
	}
	if e.Call == callPut && e.Status == http.StatusForbidden {
		text.WriteString("; the presigned URL has expired or was altered, and the service renews none: upload the file again")
	}
	return text.String()
}

// Is matches [sluice.ErrSlowDown] where the service or the object store has too
// much to do: 429 and 503. Streams then upload fewer parts at once.
func (e *Error) Is(target error) bool { return httpx.SlowDown(target, e.Status) }

// named adds the name of the call that failed with err. An [*Error] has it already.
func named(call string, err error) error {
	return fmt.Errorf("blendvisionbackend: %s: %w", call, err)
}

// exchange is how a call is sent. Its success has the status 200, or 206 of a
// range.
func exchange(call string, secrets []string) httpx.Call {
	return httpx.Call{Name: "blendvisionbackend: " + call, Secrets: secrets, Refused: func(resp *http.Response) error {
		if resp.StatusCode == http.StatusOK || call == callGet && resp.StatusCode < 300 {
			return nil
		}
		return refusal(call, resp, secrets)
	}}
}

// unusable is a success that is not what is documented. What the call asked for
// may have been done.
func unusable(call, format string, args ...any) error {
	return &httpx.AnswerError{Call: "blendvisionbackend: " + call, Detail: fmt.Sprintf(format, args...)}
}

// refusal reads an answer other than success: JSON from the API, XML from the
// object store. A gateway's page is neither and counts for its status alone.
func refusal(call string, resp *http.Response, secrets []string) error {
	e := &Error{Call: call, Status: resp.StatusCode, RetryAfter: retry.After(resp.Header, time.Now())}
	if call == callPut || call == callGet {
		var v struct{ Code, Message string }
		if decode.XML(resp.Body, &v, decode.Refusal) == nil {
			e.Code, e.Message = v.Code, v.Message
		}
	} else {
		var v struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		// Read once, because odd details must not hide the rest.
		body, err := io.ReadAll(io.LimitReader(resp.Body, decode.Refusal.Bytes+1))
		if err == nil && decode.JSON(bytes.NewReader(body), &v, decode.Refusal) == nil {
			e.Code, e.Message = codeName(v.Code), v.Message
			e.Details = details(body, secrets)
		}
	}
	e.Code, e.Message = httpx.Present(e.Code, secrets...), httpx.Present(e.Message, secrets...)
	return e
}

// details reads the details of a refusal, nil if they are of another form. Their
// names are those of proto3 in JSON, or of the message itself, as in the rest of
// this API.
func details(body []byte, secrets []string) (list []Detail) {
	type violation struct {
		Field       string `json:"field"`
		Description string `json:"description"`
	}
	var v struct {
		Details []struct {
			Type       string      `json:"@type"`
			Reason     string      `json:"reason"`
			Domain     string      `json:"domain"`
			Violations []violation `json:"field_violations"`
			Camel      []violation `json:"fieldViolations"`
		} `json:"details"`
	}
	if decode.JSON(bytes.NewReader(body), &v, decode.Refusal) != nil {
		return nil
	}
	clean := func(text string) string { return httpx.Present(text, secrets...) }
	for _, d := range v.Details {
		detail := Detail{Type: clean(d.Type), Reason: clean(d.Reason), Domain: clean(d.Domain)}
		for _, f := range append(d.Violations, d.Camel...) {
			detail.Violations = append(detail.Violations, Violation{clean(f.Field), clean(f.Description)})
		}
		list = append(list, detail)
	}
	return list
}

// codeName is the name of a gRPC code (google.rpc.Code), which the API gives as
// a number (documented); "" for 0: it gave none.
func codeName(code int) string {
	names := [...]string{
		"", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if code < 0 || code >= len(names) {
		return strconv.Itoa(code)
	}
	return names[code]
}
