package s3backend

import (
	"errors"
	"net/http"
	"slices"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// decision is what a failed attempt means.
type decision string

const (
	final   decision = "final"   // another attempt would fail in the same way
	again   decision = "again"   // after a wait
	refresh decision = "refresh" // at once, with credentials fetched anew; the second time it is final
)

// byCode is what the codes of errors mean, whatever the status (S3 API reference, "Error responses": documented,
// unless said otherwise).
var byCode = map[string]decision{
	// The store is busy, or failed.
	"SlowDown":             again,
	"SlowDownRead":         again, // MinIO
	"SlowDownWrite":        again, // MinIO
	"ServiceUnavailable":   again,
	"Busy":                 again,
	"InternalError":        again,
	"Throttling":           again,
	"ThrottlingException":  again,
	"TooManyRequests":      again,
	"RequestLimitExceeded": again,
	// The bytes did not arrive in time, or whole, or as they were sent.
	"RequestTimeout":              again, // status 400
	"IncompleteBody":              again,
	"BadDigest":                   again,
	"XAmzContentSHA256Mismatch":   again,
	"XAmzContentChecksumMismatch": again,
	// Somebody else is at work on the same key.
	"OperationAborted": again,
	// Temporary credentials that ended.
	"ExpiredToken":         refresh,
	"TokenRefreshRequired": refresh,
	// Statuses that would be tried again otherwise.
	"NotImplemented": final,
}

// byStatus is what statuses mean whose code is not in byCode. All others are final.
var byStatus = map[int]decision{
	http.StatusOK:                  again, // an error in an answer that began as a success
	http.StatusRequestTimeout:      again,
	http.StatusTooManyRequests:     again,
	http.StatusInternalServerError: again,
	http.StatusBadGateway:          again,
	http.StatusServiceUnavailable:  again,
	http.StatusGatewayTimeout:      again,
}

// decide judges a failure. What is no failure of an exchange is final, but for credentials that cannot be had again.
func decide(err error) decision {
	if e, ok := errors.AsType[*keysError](err); ok {
		if e.again {
			return again
		}
		return final
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if d, ok := byCode[e.Code]; ok {
			return d
		}
		if d, ok := byStatus[e.Status]; ok {
			return d
		}
		return final
	}
	if exchange.Untrusted(err) {
		return final
	}
	if _, ok := errors.AsType[*exchange.AnswerError](err); ok {
		return again
	}
	if _, ok := errors.AsType[*exchange.TransportError](err); ok {
		return again
	}
	if retry.GaveUp(err) {
		return again
	}
	return final
}

// mayBeDone tells whether a call that failed with err may have been done all the same. A store that had an
// internal error, or a gateway that lost sight of the store, may have failed after the deed.
func mayBeDone(err error) bool {
	if _, ok := errors.AsType[*keysError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code == "InternalError" || e.Code == "" && byStatus[e.Status] == again && e.Status != http.StatusTooManyRequests
	}
	if _, ok := errors.AsType[*exchange.TransportError](err); ok {
		return !exchange.NeverSent(err)
	}
	return decide(err) == again
}

// hasCode tells whether the store answered with one of the codes.
func hasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	return slices.Contains(codes, e.Code)
}

// hasStatus tells whether the store answered with the status.
func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == status
}

// isGone tells whether there is no such upload.
func isGone(err error) bool { return hasCode(err, "NoSuchUpload") }

// judge applies decisions to a call: it remembers what may not happen twice.
type judge struct {
	passing   string // code that is worth another attempt of this call, whatever it is of others; "" for none
	expired   func() // has the credentials fetched anew
	refreshed bool
}

func (j *judge) verdict(err error) retry.Verdict {
	v := retry.Verdict{Action: retry.Stop}
	switch d := decide(err); {
	case d == again || j.passing != "" && hasCode(err, j.passing):
		v.Action = retry.BackOff
	case d == refresh:
		if !j.refreshed {
			j.refreshed = true
			j.expired()
			v.Action = retry.AtOnce
		}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		v.After = e.RetryAfter
	}
	return v
}
