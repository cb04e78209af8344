package s3backend

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

type decision string

const (
	final decision = "final" // another attempt would fail in the same way
	again decision = "again" // after a wait
	// at once, with credentials fetched anew; the second time it is final
	refresh decision = "refresh"
	// at once, signed with the store's time; the second time it is final
	reclock decision = "reclock"
)

// byCode is what the codes of errors mean, whatever the status (S3 API reference,
// "Error responses": documented, unless said otherwise).
var byCode = map[string]decision{
	// The store is busy, or failed.
	"SlowDown":             again,
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
	// Another request is at work on the same key.
	"OperationAborted": again,
	// Credentials that ended, or were replaced by others.
	"ExpiredToken":         refresh,
	"TokenRefreshRequired": refresh,
	"InvalidToken":         refresh,
	"InvalidTokenId":       refresh, // MinIO
	"InvalidAccessKeyId":   refresh,
	// This machine's clock, or the store's, is wrong.
	"RequestTimeTooSkewed": reclock,
	// Refusals whose status would say something else: 501, or 200 where the store
	// began to answer a finish before it knew (reported).
	"NotImplemented":             final,
	"AccessDenied":               final,
	"ConditionalRequestConflict": final,
	"EntityTooLarge":             final,
	"EntityTooSmall":             final,
	"InvalidPart":                final,
	"InvalidPartOrder":           final,
	"InvalidRequest":             final,
	"MalformedXML":               final,
	"NoSuchUpload":               final,
	"PreconditionFailed":         final,
}

// classify classifies a failure: as for every store, but for what the codes of
// this one say. A failure to get credentials is final unless there were some
// before.
func classify(err error) (d decision, v retry.Verdict) {
	if e, ok := errors.AsType[*keysError](err); ok && e.again {
		return again, retry.Verdict{Action: retry.BackOff, Outcome: retry.NotDone}
	}
	e, answered := errors.AsType[*Error](err)
	if answered { // to HEAD without a body and thus without a code
		v = httpx.ClassifyAnswer(e.Status, e.Code != "" || e.Call == "HeadObject")
		v.After = e.RetryAfter
		d = byCode[e.Code]
	} else {
		v = httpx.Classify(err)
	}
	switch {
	case isGone(err), isThere(err), hasCode(err, "ConditionalRequestConflict", "OperationAborted"):
		v.Outcome = retry.Conflict
	case d == final: // refused by the store itself, whatever the status
		v.Outcome = retry.NotDone
	}
	if d == "" && v.Action == retry.Stop {
		d = final
	} else if d == "" {
		d = again
	}
	return d, v
}

func hasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	return slices.Contains(codes, e.Code)
}

// isGone reports whether a call about an upload failed because there is none.
// Ceph up to 16 says that there is no such key.
func isGone(err error) bool { return hasCode(err, "NoSuchUpload", "NoSuchKey") }

// isMissing reports whether a look-up found that there is no such file. The answer
// to HEAD has no code.
func isMissing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// isThere reports whether a file was not made because there is one of its name.
func isThere(err error) bool { return hasCode(err, "PreconditionFailed") }

// slowRequest is the difference of two clocks that no store complains about.
const slowRequest = time.Minute

// classifier classifies the failures of one call: it remembers what may not
// happen twice.
type classifier struct {
	client *client
	// code that is worth another attempt of this call, whatever it is of
	// others; "" for none
	passing   string
	unknown   bool // an answer that is not usable is final
	refreshed bool
	reclocked bool
}

func (c *classifier) classify(err error) retry.Verdict {
	d, v := classify(err)
	e, _ := errors.AsType[*Error](err)
	v.Action = retry.Stop
	switch {
	case c.unknown && isUnusable(err):
	case d == again || c.passing != "" && hasCode(err, c.passing):
		v.Action = retry.BackOff
	// The answer to HEAD has no code: status 400 may be ExpiredToken.
	case (d == refresh || e != nil && e.Call == "HeadObject" && e.Status == http.StatusBadRequest) && !c.refreshed:
		c.refreshed = true
		c.client.expire()
		v.Action = retry.AtOnce
	case d == reclock && (c.reclocked || e.date.IsZero()):
	case d == reclock && e.date.Sub(c.client.now()).Abs() < slowRequest:
		v.Action = retry.BackOff // the clock is right: the request took long to arrive
	case d == reclock:
		c.reclocked = true
		c.client.ahead.Store(int64(time.Until(e.date)))
		v.Action = retry.AtOnce
	}
	return v
}
