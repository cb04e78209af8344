package b2backend

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// endpoint is the kind of server that failed. API calls carry the account token, uploads that of their URL.
type endpoint int

const (
	apiEndpoint endpoint = iota
	uploadEndpoint
)

// decision is what follows from a failure.
type decision struct {
	action retry.Action
	// keepURL: the upload URL still works. Every other refused upload ends it.
	keepURL bool
	// login: the account token is dead. A key that is refused shows in the login itself.
	login bool
	// once: a second time in a row is final.
	once bool
	// lost: what was asked for may have been done. Calls that must not be done twice look before they go on.
	lost bool
}

// rule is a row of the table: the answers it is about, and what follows at either endpoint.
type rule struct {
	from, to int      // statuses
	codes    []string // nil: any
	prefix   string   // of the message
	api      decision
	upload   decision
}

// noAnswer is the status that stands for a call without an answer.
const noAnswer = 0

var (
	final   = decision{action: retry.Stop}
	backOff = decision{action: retry.BackOff}
	newURL  = decision{action: retry.AtOnce}
)

// rules is the whole of what is known about failures: the first row that fits decides. Codes have changed
// while texts stayed, so both are looked at; a 401 is judged by its code, since logging in again does not help
// an unauthorized key (documented, reported).
var rules = []rule{
	{noAnswer, noAnswer, nil, "", decision{action: retry.BackOff, lost: true}, decision{action: retry.AtOnce, lost: true}},
	// A success that is garbled or about other bytes.
	{200, 200, nil, "", decision{action: retry.BackOff, lost: true}, decision{action: retry.AtOnce, lost: true}},
	// The server still holds an earlier request of this URL, one that timed out here.
	{400, 400, []string{"auth_token_limit"}, "", final, newURL},
	{400, 400, nil, "more than one upload using auth token", final, newURL},
	// The bytes changed on the way.
	{400, 400, nil, "Checksum did not match", final, newURL},
	{400, 400, nil, "Sha1 did not match", final, newURL},
	// Not in the service's words: what stands before it has got only a part of the request in time.
	{400, 400, []string{""}, "", decision{action: retry.BackOff, lost: true}, decision{action: retry.AtOnce, lost: true}},
	{401, 401, []string{"expired_auth_token", "bad_auth_token", ""}, "", decision{action: retry.AtOnce, login: true}, newURL},
	{401, 401, []string{"unauthorized"}, "", final, decision{action: retry.AtOnce, once: true}},
	{408, 408, nil, "", decision{action: retry.BackOff, lost: true}, backOff},
	{429, 429, nil, "", backOff, decision{action: retry.BackOff, keepURL: true}},
	{503, 503, nil, "", decision{action: retry.BackOff, lost: true}, newURL},
	{500, 599, nil, "", decision{action: retry.BackOff, lost: true}, decision{action: retry.AtOnce, lost: true}},
	// Caps, bad requests, redirects, and whatever else the service may say.
	{100, 999, nil, "", final, final},
}

// decide judges a failure by the table. What is no failure of an exchange (a URL that must not be called, a server that
// nobody vouches for) is final.
func decide(at endpoint, err error) decision {
	status, code, message := noAnswer, "", ""
	neverSent := false
	if e, ok := errors.AsType[*Error](err); ok {
		status, code, message = e.Status, e.Code, e.Message
	} else if _, ok := errors.AsType[*exchange.AnswerError](err); ok {
		status = http.StatusOK
	} else if exchange.Untrusted(err) {
		return final
	} else if _, ok := errors.AsType[*exchange.TransportError](err); ok {
		neverSent = exchange.NeverSent(err)
	} else if !retry.GaveUp(err) {
		return final
	}
	for _, r := range rules {
		if status < r.from || status > r.to || !strings.HasPrefix(message, r.prefix) ||
			r.codes != nil && !slices.Contains(r.codes, code) {
			continue
		}
		d := r.api
		if at == uploadEndpoint {
			d = r.upload
		}
		d.lost = d.lost && !neverSent
		return d
	}
	return final
}

// judge applies decisions to a call: it remembers what may not happen twice in a row.
type judge struct {
	at    endpoint
	once  bool
	login func() // marks the account token as dead
}

func (j *judge) verdict(err error) retry.Verdict {
	d := decide(j.at, err)
	if d.once && j.once {
		return retry.Verdict{Action: retry.Stop}
	}
	j.once = d.once
	if d.login {
		j.login()
	}
	v := retry.Verdict{Action: d.action}
	if e, ok := errors.AsType[*Error](err); ok {
		v.After = e.RetryAfter
	}
	return v
}
