package b2test

import (
	"fmt"
	"net/http"
)

// apiError is an answer other than success.
type apiError struct {
	status     int
	code       string
	message    string
	retryAfter string // header value, absent when empty
	html       bool   // answered by a gateway in front of the service: no JSON
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s %q", e.status, e.code, e.message) }

func badRequest(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "bad_request", message: fmt.Sprintf(format, args...)}
}

func badCode(code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// Texts of the service; each is documented, recorded or reported unless it says otherwise.

func errBadToken() *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "bad_auth_token", message: "Invalid authorization token"}
}

func errExpiredToken() *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "expired_auth_token",
		message: "Authorization token has expired",
	}
}

func errMissingToken() *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "missing_auth_token",
		message: "Authorization token is missing",
	}
}

// errUnauthorized refuses a key that lacks a capability, a bucket or a prefix.
// Its text names nothing reliable, so it is empty.
func errUnauthorized() *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "unauthorized"}
}

func errWrongHost() *apiError { return badRequest("Wrong host name for request") }

func errInvalidFileID(id string) *apiError { return badRequest("Invalid fileId: %s", id) }

func errNoActiveUpload(id string) *apiError { return badRequest("No active upload for: %s", id) }

func errNoBucket(id string) *apiError {
	return badCode("bad_bucket_id", "Bucket %s does not exist", id)
}

// errNotFound carries an uncertain text.
func errNotFound(what string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "not_found", message: what + " not found"}
}

// errMethod carries an uncertain text.
func errMethod(method, call string) *apiError {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		message: fmt.Sprintf("%s is not allowed for %s", method, call),
	}
}

// errNotImplemented is the answer of this server alone.
func errNotImplemented(call string) *apiError {
	return &apiError{
		status: http.StatusNotImplemented, code: "not_implemented",
		message: "b2test does not implement " + call,
	}
}

// errAccessDenied refuses to remove what retention or a legal hold protects.
// Whether the status is 401 or 403 is uncertain: pages of the documentation
// differ.
func errAccessDenied(message string) *apiError {
	return &apiError{status: http.StatusForbidden, code: "access_denied", message: message}
}

func errRange() *apiError {
	return &apiError{
		status: http.StatusRequestedRangeNotSatisfiable, code: "range_not_satisfiable",
		message: "The Range in the request is outside the size of the file",
	}
}

// errDiscarded answers what a server with [Options.Discard] cannot: the real
// service has no such error.
func errDiscarded() *apiError {
	return &apiError{
		status: http.StatusInternalServerError, code: "internal_error",
		message: "this server discards content",
	}
}

// defaultCode is the code that goes with a status when a fault names none.
func defaultCode(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "bad_auth_token"
	case http.StatusForbidden:
		return "storage_cap_exceeded"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusRequestTimeout:
		return "request_timeout"
	case http.StatusConflict:
		return "conflict"
	case http.StatusTooManyRequests:
		return "too_many_requests"
	case http.StatusInternalServerError:
		return "internal_error"
	case http.StatusServiceUnavailable:
		return "service_unavailable"
	}
	return "bad_request"
}
