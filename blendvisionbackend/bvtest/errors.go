package bvtest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apiError is an answer of the API other than 200.
type apiError struct {
	status     int
	code       int // gRPC's
	message    string
	retryAfter string // header value, absent when empty
	gateway    bool   // answered by something in front of the service
}

func (e *apiError) Error() string { return fmt.Sprintf("%d/%d %q", e.status, e.code, e.message) }

// Documented statuses.

func errInvalid(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: 3, message: fmt.Sprintf(format, args...)}
}

func errUnauthenticated(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: 16, message: message}
}

func errPermission(message string) *apiError {
	return &apiError{status: http.StatusForbidden, code: 7, message: message}
}

// Statuses of the usual gRPC mapping.

func errNotFound(what string) *apiError {
	return &apiError{status: http.StatusNotFound, code: 5, message: what + " not found"}
}

func errState(v *session) *apiError {
	return &apiError{status: http.StatusConflict, code: 10, message: "the upload session is " + string(v.State)}
}

// grpcCode is the gRPC code that goes with a status when a fault names none.
func grpcCode(status int) int {
	switch status {
	case http.StatusBadRequest:
		return 3
	case http.StatusUnauthorized:
		return 16
	case http.StatusForbidden:
		return 7
	case http.StatusNotFound:
		return 5
	case http.StatusConflict:
		return 10
	case http.StatusTooManyRequests:
		return 8
	case 499:
		return 1
	case http.StatusServiceUnavailable:
		return 14
	case http.StatusGatewayTimeout:
		return 4
	}
	return 13
}

// send answers with the documented body.
func (e *apiError) send(w http.ResponseWriter) {
	body, _ := json.Marshal(struct {
		Code    int              `json:"code"`
		Message string           `json:"message"`
		Details []map[string]any `json:"details"`
	}{e.code, e.message, []map[string]any{{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": e.message}}})
	sendError(w, e.status, e.retryAfter, e.gateway, "application/json", body)
}

// storeError is an answer of the object store other than success: XML,
// documented as such for 403 only.
type storeError struct {
	status     int
	code       string
	message    string
	extra      string // more elements, as XML
	retryAfter string // header value, absent when empty
	gateway    bool   // answered by something in front of the store
}

func (e *storeError) Error() string { return fmt.Sprintf("%d %s %q", e.status, e.code, e.message) }

func (e *storeError) send(w http.ResponseWriter) {
	sendError(w, e.status, e.retryAfter, e.gateway, "application/xml", fmt.Appendf(nil,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message>%s</Error>",
		xmlText(e.code), xmlText(e.message), e.extra))
}

// sendError answers the error body, or in its place a gateway's page of HTML.
func sendError(w http.ResponseWriter, status int, retryAfter string, gateway bool, contentType string, body []byte) {
	if gateway {
		contentType, body = "text/html", []byte("<html><body>"+http.StatusText(status)+"</body></html>")
	}
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	sendBody(w, status, contentType, body)
}
