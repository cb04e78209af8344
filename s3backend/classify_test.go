package s3backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

func TestClassification(t *testing.T) {
	dial := httpx.Unsent(&net.OpError{Op: "dial", Err: errors.New("refused")})
	for _, c := range []struct {
		err  error
		want decision
		done retry.Outcome
	}{
		// The store itself answers 500 and above after the deed, too.
		{&Error{Status: 503, Code: "SlowDown"}, again, retry.Unknown},
		{&Error{Status: 503, Code: "ServiceUnavailable"}, again, retry.Unknown},
		{&Error{Status: 500, Code: "InternalError"}, again, retry.Unknown},
		{&Error{Status: 507, Code: "Unheard"}, again, retry.Unknown},
		{&Error{Status: 520, Code: "Unheard"}, again, retry.Unknown},
		{&Error{Status: 200, Code: "InternalError"}, again, retry.Unknown},
		{&Error{Status: 200, Code: "SlowDown"}, again, retry.Unknown},
		{&Error{Status: 200, Code: "Unheard"}, again, retry.Unknown},
		{&Error{Status: 200}, again, retry.Unknown},
		// It refuses with its own error, be it under a status of success.
		{&Error{Status: 200, Code: "PreconditionFailed"}, final, retry.Conflict},
		{&Error{Status: 200, Code: "InvalidPart"}, final, retry.NotDone},
		{&Error{Status: 200, Code: "AccessDenied"}, final, retry.NotDone},
		{&Error{Status: 501, Code: "NotImplemented"}, final, retry.NotDone},
		{&Error{Status: 429, Code: "TooManyRequests"}, again, retry.NotDone},
		{&Error{Status: 429, Code: "Unheard"}, again, retry.NotDone},
		{&Error{Status: 408, Code: "Unheard"}, again, retry.Unknown},
		{&Error{Status: 400, Code: "RequestTimeout"}, again, retry.NotDone},
		{&Error{Status: 400, Code: "XAmzContentSHA256Mismatch"}, again, retry.NotDone},
		{&Error{Status: 400, Code: "BadDigest"}, again, retry.NotDone},
		{&Error{Status: 409, Code: "OperationAborted"}, again, retry.Conflict},
		{&Error{Status: 400, Code: "ExpiredToken"}, refresh, retry.NotDone},
		{&Error{Status: 403, Code: "InvalidAccessKeyId"}, refresh, retry.NotDone},
		{&Error{Status: 403, Code: "AccessDenied"}, final, retry.NotDone},
		{&Error{Status: 403, Code: "RequestTimeTooSkewed"}, reclock, retry.NotDone},
		{&Error{Status: 403, Code: "SignatureDoesNotMatch"}, final, retry.NotDone},
		{&Error{Status: 404, Code: "NoSuchUpload"}, final, retry.Conflict},
		{&Error{Status: 404, Code: "NoSuchBucket"}, final, retry.NotDone},
		{&Error{Status: 400, Code: "InvalidPart"}, final, retry.NotDone},
		{&Error{Status: 400, Code: "EntityTooSmall"}, final, retry.NotDone},
		{&Error{Status: 400, Code: "Unheard"}, final, retry.NotDone},
		{&Error{Status: 409, Code: "ConditionalRequestConflict"}, final, retry.Conflict},
		{&Error{Status: 412, Code: "PreconditionFailed"}, final, retry.Conflict},
		{&Error{Status: 301, Code: "PermanentRedirect"}, final, retry.NotDone},
		{&Error{Status: 404, Call: "HeadObject"}, final, retry.NotDone},
		{&Error{Status: 403, Call: "HeadObject"}, final, retry.NotDone},
		{&Error{Status: 500, Call: "HeadObject"}, again, retry.Unknown},
		// A proxy has not passed it on.
		{&Error{Status: 407}, final, retry.NotDone},
		// No answer came.
		{&httpx.TransportError{Call: "x", Err: io.ErrUnexpectedEOF}, again, retry.Unknown},
		{&httpx.TransportError{Call: "x", Err: dial}, again, retry.NotDone},
		{&httpx.TransportError{Call: "x", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, final, retry.NotDone},
		{&httpx.AnswerError{Call: "x", Detail: "garbled"}, again, retry.Unknown},
		{retry.ErrTimeout, again, retry.Unknown},
		{retry.ErrStalled, again, retry.Unknown},
		{&keysError{err: errors.New("none")}, final, retry.NotDone},
		{&keysError{again: true, err: errors.New("none now")}, again, retry.NotDone},
		{errors.New("something else"), final, retry.NotDone},
	} {
		t.Run(fmt.Sprint(c.err), func(t *testing.T) {
			d, v := classify(c.err)
			require.Equal(t, c.want, d)
			require.Equal(t, c.done, v.Outcome)
		})
	}
}

// What stands before a store answers with statuses that no standard knows:
// Cloudflare with 520 to 530, nginx with 499, proxies with 598 and 599.
func TestClassification_PassesEveryStatusOfAGateway(t *testing.T) {
	for status := 200; status <= 999; status++ {
		if status != 407 {
			requirePasses(t, status)
		}
	}
}

func requirePasses(t *testing.T, status int) {
	err := &Error{Status: status}
	d, v := classify(err)
	require.Equal(t, again, d, status)
	require.Equal(t, retry.Unknown, v.Outcome, status)
}

func TestRetryAfterIsHeard(t *testing.T) {
	var c classifier
	v := c.classify(&Error{Status: 503, Code: "SlowDown", RetryAfter: 7 * time.Second})
	require.Equal(t, retry.Verdict{Action: retry.BackOff, After: 7 * time.Second}, v)
}

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	require.ErrorIs(t, &Error{Status: 503, Code: "SlowDown"}, sluice.ErrSlowDown)
	require.NotErrorIs(t, &Error{Status: 500, Code: "InternalError"}, sluice.ErrSlowDown)
}

func TestPathsAreEscapedAsTheyAreSigned(t *testing.T) {
	require.Equal(t, "/a-z_.~/%20%2B%25%26%3D%3F%23%27%28%2A/%C3%BC", httpx.Escape("/a-z_.~/ +%&=?#'(*/ü", unescaped))
}
