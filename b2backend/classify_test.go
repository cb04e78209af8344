package b2backend

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// What an answer leads to, at either endpoint. "again" is another attempt after
// a wait, "elsewhere" one at once with another upload URL, "log in" one at once
// with another token.
const (
	stop      = "stop"
	again     = "again"
	elsewhere = "elsewhere"
	relogin   = "log in"
	onceMore  = "elsewhere, once"
	sameURL   = "again, same URL"
)

// in says what a classification found in the words above.
func in(d class) string {
	switch {
	case d.Action == retry.Stop:
		return stop
	case d.login:
		return relogin
	case d.once:
		return onceMore
	case d.keepURL:
		return sameURL
	case d.Action == retry.AtOnce:
		return elsewhere
	default:
		return again
	}
}

// The service's answers as far as they are known (documented, recorded,
// reported), and what follows.
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
		{400, "bad_request", "sha1 did not match data received", stop, elsewhere},
		{400, "bad_request", "CHECKSUM DID NOT MATCH DATA RECEIVED", stop, elsewhere},
		{400, "bad_request", "Part 7: checksum did not match data received", stop, elsewhere},
		{400, "bad_sha1_checksum", "Upload failed: Sha1 did not match data received", stop, elsewhere},
		{400, "bad_request", "error reading uploaded data: SocketTimeoutException(Read timed out)", stop, elsewhere},
		{400, "bad_request", "Error reading uploaded data", stop, elsewhere},
		{400, "bad_request", "More than one upload using auth token 4_x", stop, elsewhere},
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
		{411, "length_required", "", stop, stop},
		{415, "unsupported_media_type", "", stop, stop},
		{416, "range_not_satisfiable", "", stop, stop},
		// Slow, rated, busy, full, broken, and gateways.
		{408, "request_timeout", "", again, elsewhere},
		{499, "client_closed", "", again, elsewhere},
		{429, "too_many_requests", "20 calls/minute allowed for: API_AUTHORIZE_ACCOUNT_CALLED", again, sameURL},
		{500, "internal_error", "Not enough members for write of 4_z", again, elsewhere},
		{502, "", "", again, elsewhere},
		{503, "service_unavailable", "c001_v0001113_t0035 is too busy", again, elsewhere},
		{503, "service_unavailable", "no tomes available", again, elsewhere},
		{503, "service_unavailable", "not enough space in c001_v0001117_t0012", again, elsewhere},
		{503, "service_unavailable", "No uploads available in vault 0001099", again, elsewhere},
		{503, "bad_request", "timeout", again, elsewhere},
		{504, "", "", again, elsewhere},
		{520, "", "", again, elsewhere},
		{530, "", "", again, elsewhere},
		{598, "", "", again, elsewhere},
		{599, "", "", again, elsewhere},
		// Not in the service's words: something before it has answered.
		{204, "", "", again, elsewhere},
		{301, "", "", again, elsewhere},
		{307, "", "", again, elsewhere},
		{400, "", "", again, elsewhere},
		{403, "", "", again, elsewhere},
		{404, "", "", again, elsewhere},
		{407, "", "", stop, stop},
		{499, "", "", again, elsewhere},
	} {
		err := fmt.Errorf("wrapped: %w", &Error{Call: "x", Status: c.status, Code: c.code, Message: c.message})
		name := fmt.Sprintf("%d %s %s", c.status, c.code, c.message)
		require.Equal(t, c.api, in(classify(apiEndpoint, err)), "API: %s", name)
		require.Equal(t, c.upload, in(classify(uploadEndpoint, err)), "upload: %s", name)
	}
}

func TestEveryKnownFailureWithoutAnAnswerIsClassified(t *testing.T) {
	dial := httpx.Unsent(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	for name, c := range map[string]struct {
		err         error
		api, upload string
		lost        bool
	}{
		"no connection": {&httpx.TransportError{Call: "x", Err: dial}, again, elsewhere, false},
		"reset":         {&httpx.TransportError{Call: "x", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, again, elsewhere, true},
		"broken pipe":   {&httpx.TransportError{Call: "x", Err: &net.OpError{Op: "write", Err: syscall.EPIPE}}, again, elsewhere, true},
		"EOF":           {&httpx.TransportError{Call: "x", Err: io.ErrUnexpectedEOF}, again, elsewhere, true},
		"timeout":       {fmt.Errorf("%w", retry.ErrTimeout), again, elsewhere, true},
		"stall":         {fmt.Errorf("%w", retry.ErrStalled), again, elsewhere, true},
		"garbage":       {&httpx.AnswerError{Call: "x", Detail: "garbage"}, again, elsewhere, true},
		"certificate":   {&httpx.TransportError{Call: "x", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, stop, stop, false},
		"our own":       {errors.New("no request was made"), stop, stop, false},
	} {
		for at, want := range map[endpoint]string{apiEndpoint: c.api, uploadEndpoint: c.upload} {
			d := classify(at, c.err)
			require.Equal(t, want, in(d), name)
			require.Equal(t, c.lost, d.Outcome == retry.Unknown, name)
		}
	}
}

// A call that must not be repeated has certainly not been done only if it was
// refused in so many words.
func TestOnlyARefusalIsCertain(t *testing.T) {
	for status := 300; status < 600; status++ {
		want := retry.NotDone
		switch {
		case status >= 500, status == 408, status == 499:
			want = retry.Unknown
		}
		require.Equal(t, want, classify(apiEndpoint, &Error{Status: status, Code: "x"}).Outcome, "%d", status)
		if status == 404 || status == 409 {
			want = retry.Conflict
		}
		finish := &Error{Call: finishLargeFile.name, Status: status, Code: "x"}
		require.Equal(t, want, classify(apiEndpoint, finish).Outcome, "%d", status)
		if status != 407 {
			require.Equal(t, retry.Unknown, classify(uploadEndpoint, &Error{Status: status}).Outcome, "%d without the service's code", status)
		}
	}
}

func TestEveryDeadTokenIsReplaced(t *testing.T) {
	c := client{session: &session{}, log: slog.New(slog.DiscardHandler)}
	k := new(call)
	retries := c.retries(k)
	for range 3 {
		k.account = new(account)
		c.session.current = k.account
		require.Equal(t, retry.AtOnce, retries.Classify(&Error{Status: 401, Code: "expired_auth_token"}).Action)
		require.Nil(t, c.session.current)
	}
}

func TestASecondUnauthorizedUploadInARowIsFinal(t *testing.T) {
	var u upload
	unauthorized := &Error{Status: 401, Code: "unauthorized"}
	require.Equal(t, retry.AtOnce, u.classify(unauthorized).Action)
	require.Equal(t, retry.Stop, u.classify(unauthorized).Action)
}

func TestAVerdictCarriesRetryAfter(t *testing.T) {
	require.Equal(t, 7*time.Second, classify(uploadEndpoint, &Error{Status: 503, RetryAfter: 7 * time.Second}).After)
}

func TestReadErrorTakesAnyBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"code": "bad_request", "message": "Invalid fileId: bad-id", "status": 400}`: "b2_x: 400 bad_request: Invalid fileId: bad-id",
		`{"code": "bad_auth_token", "message": "", "status": 400}`:                    "b2_x: 400 bad_auth_token",
		`<html>nginx</html>`: "b2_x: 400 Bad Request",
		``:                   "b2_x: 400 Bad Request",
		`[1,2]`:              "b2_x: 400 Bad Request",
		`{"code": 7}`:        "b2_x: 400 Bad Request",
		`{"code":"c","message":"two\nlines \u001b[31m red \u007f"}`:  `b2_x: 400 c: two lines \u001b[31m red \u007f`,
		"{\"code\":\"c\",\"message\":\"\xff\"}":                      "b2_x: 400 c: \ufffd",
		`{"code":"c","message":"` + strings.Repeat("é", 1000) + `"}`: "b2_x: 400 c: " + strings.Repeat("é", 512) + "…",
	} {
		e := readError("b2_x", &http.Response{StatusCode: 400, Header: http.Header{"Retry-After": {"3"}}, Body: io.NopCloser(strings.NewReader(body))}, nil)
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
		resp := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {after}}, Body: io.NopCloser(bytes.NewReader(body))}
		e := readError("b2_x", resp, []string{"SECRET1"})
		require.NotContains(t, e.Error(), "SECRET1")
		require.LessOrEqual(t, len(e.Error()), 3000)
		require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
		classify(uploadEndpoint, e)
	})
}

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	require.ErrorIs(t, &Error{Status: http.StatusTooManyRequests}, sluice.ErrSlowDown)
	require.NotErrorIs(t, &Error{Status: http.StatusInternalServerError}, sluice.ErrSlowDown)
}
