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
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

func TestClassification(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, c := range []struct {
		err  error
		want decision
		done bool // may be done
	}{
		{&Error{Status: 503, Code: "SlowDown"}, again, false},
		{&Error{Status: 503, Code: "ServiceUnavailable"}, again, false},
		{&Error{Status: 500, Code: "InternalError"}, again, true},
		{&Error{Status: 200, Code: "InternalError"}, again, true},
		{&Error{Status: 200, Code: "Unheard"}, again, false},
		{&Error{Status: 400, Code: "RequestTimeout"}, again, false},
		{&Error{Status: 400, Code: "XAmzContentSHA256Mismatch"}, again, false},
		{&Error{Status: 400, Code: "BadDigest"}, again, false},
		{&Error{Status: 409, Code: "OperationAborted"}, again, false},
		{&Error{Status: 400, Code: "ExpiredToken"}, refresh, false},
		{&Error{Status: 408}, again, true},
		{&Error{Status: 429}, again, false},
		{&Error{Status: 500}, again, true},
		{&Error{Status: 502}, again, true},
		{&Error{Status: 503}, again, true},
		{&Error{Status: 504}, again, true},
		{&Error{Status: 501, Code: "NotImplemented"}, final, false},
		{&Error{Status: 403, Code: "AccessDenied"}, final, false},
		{&Error{Status: 403, Code: "RequestTimeTooSkewed"}, final, false},
		{&Error{Status: 403, Code: "SignatureDoesNotMatch"}, final, false},
		{&Error{Status: 404, Code: "NoSuchUpload"}, final, false},
		{&Error{Status: 404, Code: "NoSuchBucket"}, final, false},
		{&Error{Status: 400, Code: "InvalidPart"}, final, false},
		{&Error{Status: 400, Code: "EntityTooSmall"}, final, false},
		{&Error{Status: 409, Code: "ConditionalRequestConflict"}, final, false},
		{&Error{Status: 412, Code: "PreconditionFailed"}, final, false},
		{&Error{Status: 301, Code: "PermanentRedirect"}, final, false},
		{&exchange.TransportError{Call: "x", Err: io.ErrUnexpectedEOF}, again, true},
		{&exchange.TransportError{Call: "x", Err: dial}, again, false},
		{&exchange.TransportError{Call: "x", Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, final, false},
		{&exchange.AnswerError{Call: "x", Detail: "garbled"}, again, true},
		{retry.ErrTimeout, again, true},
		{retry.ErrStalled, again, true},
		{&keysError{err: errors.New("none")}, final, false},
		{&keysError{again: true, err: errors.New("none now")}, again, false},
		{errors.New("something else"), final, false},
	} {
		t.Run(fmt.Sprint(c.err), func(t *testing.T) {
			require.Equal(t, c.want, decide(c.err))
			require.Equal(t, c.done, mayBeDone(c.err))
		})
	}
}

func TestCredentialsAreRefreshedOnce(t *testing.T) {
	calls := 0
	j := judge{expired: func() { calls++ }}
	expired := &Error{Status: 400, Code: "ExpiredToken"}
	require.Equal(t, retry.AtOnce, j.verdict(expired).Action)
	require.Equal(t, retry.Stop, j.verdict(expired).Action)
	require.Equal(t, 1, calls)
}

func TestRetryAfterIsHeard(t *testing.T) {
	j := judge{}
	v := j.verdict(&Error{Status: 503, Code: "SlowDown", RetryAfter: 7 * time.Second})
	require.Equal(t, retry.Verdict{Action: retry.BackOff, After: 7 * time.Second}, v)
}

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	require.ErrorIs(t, &Error{Status: 503, Code: "SlowDown"}, sluice.ErrSlowDown)
	require.NotErrorIs(t, &Error{Status: 500, Code: "InternalError"}, sluice.ErrSlowDown)
}

func TestPathsAreEscapedAsTheyAreSigned(t *testing.T) {
	require.Equal(t, "/a-z_.~/%20%2B%25%26%3D%3F%23%27%28%2A/%C3%BC", exchange.Escape("/a-z_.~/ +%&=?#'(*/ü", unescaped))
}
