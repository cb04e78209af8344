package b2backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// What an answer leads to, at either endpoint. "again" is another attempt after a wait, "elsewhere" one at once with
// another upload URL, "log in" one at once with another token.
const (
	stop      = "stop"
	again     = "again"
	elsewhere = "elsewhere"
	relogin   = "log in"
	onceMore  = "elsewhere, once"
	sameURL   = "again, same URL"
)

// in says a decision in the words above.
func in(at endpoint, d decision) string {
	switch {
	case d.action == retry.Stop:
		return stop
	case d.login:
		return relogin
	case d.once:
		return onceMore
	case d.keepURL:
		return sameURL
	case d.action == retry.AtOnce:
		return elsewhere
	default:
		return again
	}
}

// The service's answers as far as they are known (documented, recorded, reported), and what follows.
func TestEveryKnownAnswerIsClassified(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
		api, upload   string
	}{
		// Malformed, gone, or too late: no attempt helps.
		{400, "bad_request", "Invalid fileId: bad-id", stop, stop},
		{400, "bad_request", "Not a valid file id: x", stop, stop},
		{400, "bad_request", "No active upload for: 4_z", stop, stop},
		{400, "bad_request", "Wrong host name for request", stop, stop},
		{400, "bad_request", "large files must have at least 2 parts", stop, stop},
		{400, "bad_request", "Part number 1 is smaller than 5000000 bytes", stop, stop},
		{400, "bad_request", "Part number 2 has not been uploaded", stop, stop},
		{400, "bad_request", "Not a valid hex SHA1", stop, stop},
		{400, "bad_request", "This request is not currently supported on API version number 3", stop, stop},
		{400, "missing_part", "Part number 2 has not been uploaded", stop, stop},
		{400, "part_sha1_mismatch", "", stop, stop},
		{400, "bad_json", "", stop, stop},
		{400, "bad_bucket_id", "Bucket x does not exist", stop, stop},
		{400, "invalid_bucket_id", "", stop, stop},
		{400, "invalid_file_id", "", stop, stop},
		{400, "out_of_range", "", stop, stop},
		{400, "source_too_large", "Copy source too big: 6000000000", stop, stop},
		{400, "file_not_present", "File not present: name id", stop, stop},
		{400, "no_such_file", "", stop, stop},
		{400, "already_hidden", "", stop, stop},
		{400, "custom_timestamp_not_allowed", "", stop, stop},
		{400, "custom_timestamp_invalid", "", stop, stop},
		{400, "duplicate_bucket_name", "", stop, stop},
		// The token of an upload URL is in use, by code or by text.
		{400, "auth_token_limit", "more than one upload using auth token 4_x", stop, elsewhere},
		{400, "auth_token_limit", "", stop, elsewhere},
		{400, "bad_request", "more than one upload using auth token 4_x", stop, elsewhere},
		// The bytes changed on the way, in today's words and in older ones.
		{400, "bad_request", "Checksum did not match data received", stop, elsewhere},
		{400, "bad_request", "Sha1 did not match data received", stop, elsewhere},
		// Not by the service itself, which has a code for everything: a request whose end did not come in time.
		{400, "", "", again, elsewhere},
		// A token is dead, or the key is not allowed.
		{401, "expired_auth_token", "Authorization token has expired", relogin, elsewhere},
		{401, "bad_auth_token", "Invalid authorization token", relogin, elsewhere},
		{401, "bad_auth_token", "Authorization token for wrong cluster", relogin, elsewhere},
		{401, "", "", relogin, elsewhere},
		{401, "unauthorized", "", stop, onceMore},
		{401, "unsupported", "", stop, stop},
		{401, "missing_auth_token", "Authorization token is missing", stop, stop},
		{401, "email_not_verified", "", stop, stop},
		{401, "no_payment_history", "", stop, stop},
		{401, "access_denied", "", stop, stop},
		// Caps and rights.
		{403, "storage_cap_exceeded", "", stop, stop},
		{403, "transaction_cap_exceeded", "", stop, stop},
		{403, "download_cap_exceeded", "", stop, stop},
		{403, "cap_exceeded", "", stop, stop},
		{403, "access_denied", "", stop, stop},
		{404, "not_found", "", stop, stop},
		{405, "method_not_allowed", "", stop, stop},
		{409, "conflict", "", stop, stop},
		{411, "", "", stop, stop},
		{415, "unsupported_media_type", "", stop, stop},
		{416, "range_not_satisfiable", "", stop, stop},
		// Slow, rated, busy, full, broken, and gateways.
		{408, "request_timeout", "", again, again},
		{429, "too_many_requests", "20 calls/minute allowed for: API_AUTHORIZE_ACCOUNT_CALLED", again, sameURL},
		{500, "internal_error", "Not enough members for write of 4_z", again, elsewhere},
		{502, "", "", again, elsewhere},
		{503, "service_unavailable", "c001_v0001113_t0035 is too busy", again, elsewhere},
		{503, "service_unavailable", "no tomes available", again, elsewhere},
		{503, "service_unavailable", "not enough space in c001_v0001117_t0012", again, elsewhere},
		{503, "service_unavailable", "No uploads available in vault 0001099", again, elsewhere},
		{503, "bad_request", "timeout", again, elsewhere},
		{504, "", "", again, elsewhere},
		{599, "", "", again, elsewhere},
		// Redirects are not followed.
		{301, "", "", stop, stop},
		{307, "", "", stop, stop},
		{204, "", "", stop, stop},
	} {
		err := fmt.Errorf("wrapped: %w", &Error{Call: "x", Status: c.status, Code: c.code, Message: c.message})
		name := fmt.Sprintf("%d %s %s", c.status, c.code, c.message)
		require.Equal(t, c.api, in(apiEndpoint, decide(apiEndpoint, err)), "API: %s", name)
		require.Equal(t, c.upload, in(uploadEndpoint, decide(uploadEndpoint, err)), "upload: %s", name)
	}
}

func TestEveryKnownFailureWithoutAnAnswerIsClassified(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, c := range map[string]struct {
		err         error
		api, upload string
		lost        bool
	}{
		"no connection": {&exchange.TransportError{Call: "x", Err: dial}, again, elsewhere, false},
		"reset":         {&exchange.TransportError{Call: "x", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, again, elsewhere, true},
		"broken pipe":   {&exchange.TransportError{Call: "x", Err: &net.OpError{Op: "write", Err: syscall.EPIPE}}, again, elsewhere, true},
		"EOF":           {&exchange.TransportError{Call: "x", Err: io.ErrUnexpectedEOF}, again, elsewhere, true},
		"timeout":       {fmt.Errorf("%w", retry.ErrTimeout), again, elsewhere, true},
		"stall":         {fmt.Errorf("%w", retry.ErrStalled), again, elsewhere, true},
		"garbage":       {unusable("x", "garbage"), again, elsewhere, true},
		"certificate":   {&exchange.TransportError{Call: "x", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, stop, stop, false},
		"our own":       {errors.New("no request was made"), stop, stop, false},
	} {
		for at, want := range map[endpoint]string{apiEndpoint: c.api, uploadEndpoint: c.upload} {
			d := decide(at, c.err)
			require.Equal(t, want, in(at, d), name)
			require.Equal(t, c.lost, d.lost, name)
		}
	}
}

// A call that must not be repeated has certainly not been done only if it was refused in so many words.
func TestOnlyARefusalIsCertain(t *testing.T) {
	for status := 400; status < 600; status++ {
		want := status >= 500 || status == 408
		require.Equal(t, want, wasLost(&Error{Status: status, Code: "x"}), "%d", status)
	}
	require.False(t, wasLost(nil))
}

func TestEveryDeadTokenIsReplaced(t *testing.T) {
	logins := 0
	j := judge{at: apiEndpoint, login: func() { logins++ }}
	for range 3 {
		require.Equal(t, retry.AtOnce, j.verdict(&Error{Status: 401, Code: "expired_auth_token"}).Action)
	}
	require.Equal(t, 3, logins)
}

func TestASecondUnauthorizedUploadInARowIsFinal(t *testing.T) {
	j := judge{at: uploadEndpoint}
	unauthorized := &Error{Status: 401, Code: "unauthorized"}
	require.Equal(t, retry.AtOnce, j.verdict(unauthorized).Action)
	require.Equal(t, retry.Stop, j.verdict(unauthorized).Action)
}

func TestAVerdictCarriesRetryAfter(t *testing.T) {
	j := judge{at: uploadEndpoint}
	require.Equal(t, 7*time.Second, j.verdict(&Error{Status: 503, RetryAfter: 7 * time.Second}).After)
}

func TestReadErrorTakesAnyBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"code": "bad_request", "message": "Invalid fileId: bad-id", "status": 400}`: "b2_x: 400 bad_request: Invalid fileId: bad-id",
		`{"code": "bad_auth_token", "message": "", "status": 400}`:                    "b2_x: 400 bad_auth_token",
		`<html>nginx</html>`: "b2_x: 400 Bad Request",
		``:                   "b2_x: 400 Bad Request",
		`[1,2]`:              "b2_x: 400 Bad Request",
		`{"code": 7}`:        "b2_x: 400 Bad Request",
		`{"code":"c","message":"two\nlines \u001b[31m red \u007f"}`:  "b2_x: 400 c: two lines  [31m red  ",
		"{\"code\":\"c\",\"message\":\"\xff\"}":                      "b2_x: 400 c: \ufffd",
		`{"code":"c","message":"` + strings.Repeat("é", 1000) + `"}`: "b2_x: 400 c: " + strings.Repeat("é", 512) + "…",
	} {
		e := readError("b2_x", &http.Response{StatusCode: 400, Header: http.Header{"Retry-After": {"3"}}}, []byte(body), nil)
		require.Equal(t, want, e.Error())
		require.Equal(t, 3*time.Second, e.RetryAfter)
	}
}

func TestTheQuotedTokenIsCutEvenIfItIsNotOurs(t *testing.T) {
	for said, want := range map[string]string{
		"more than one upload using auth token 4_00245c_01abc_upld_x7=":    "more than one upload using auth token [redacted]",
		"More than one upload using auth token 4_00245c_01abc (try later)": "More than one upload using auth token [redacted] (try later)",
		"Authorization token has expired":                                  "Authorization token has expired",
		"Invalid authorization token":                                      "Invalid authorization token",
		"Authorization token for wrong cluster":                            "Authorization token for wrong cluster",
	} {
		require.Equal(t, want, presentable(said, nil))
	}
	require.Equal(t, "you sent [redacted]", presentable("you sent KEY", []string{"KEY", ""}))
}

func FuzzReadError(f *testing.F) {
	f.Add([]byte(`{"code":"auth_token_limit","message":"more than one upload using auth token 4_SECRET1","status":400}`), "3")
	f.Fuzz(func(t *testing.T, body []byte, after string) {
		resp := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {after}}}
		e := readError("b2_x", resp, body, []string{"SECRET1"})
		require.NotContains(t, e.Error(), "SECRET1")
		require.LessOrEqual(t, len(e.Error()), 3000)
		require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
		decide(uploadEndpoint, e)
	})
}

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	require.ErrorIs(t, &Error{Status: http.StatusTooManyRequests}, sluice.ErrSlowDown)
	require.NotErrorIs(t, &Error{Status: http.StatusInternalServerError}, sluice.ErrSlowDown)
}
