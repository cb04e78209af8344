package b2backend

import (
	"errors"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// endpoint is the kind of server that failed. API calls carry the account
// token, uploads that of their URL.
type endpoint int

const (
	apiEndpoint endpoint = iota
	uploadEndpoint
)

type class struct {
	retry.Verdict
	keepURL bool // the upload URL still works; every other failed upload ends it
	login   bool // the account token is dead; a key that is refused shows in the login itself
	once    bool // a second time in a row it is final
}

// damaged are the messages of a 400 for bytes that did not arrive as they were
// sent, in lower case. Their wording has changed over the years (reported).
var damaged = []string{"sha1 did not match", "checksum did not match", "error reading uploaded data"}

// sharedToken is in the message of a 400 if the server still holds an earlier
// request of the same upload URL, one that timed out here.
const sharedToken = "more than one upload using auth token"

// classify classifies a failure: as for every store, but for what the codes and
// messages of this one say (documented, reported). Codes have changed while
// messages stayed, so both are looked at.
func classify(at endpoint, err error) class {
	e, answered := errors.AsType[*Error](err)
	if !answered {
		return class{Verdict: place(at, httpx.Classify(err))}
	}
	// Where a login meets no B2 service, the endpoint is wrong and stays so. A
	// bare 400 is a server's answer to a request that arrives too slowly.
	own := e.Code != "" || e.Call == authorizeAccount && e.Status != 400
	c := class{Verdict: place(at, httpx.ClassifyAnswer(e.Status, own))}
	c.After = e.RetryAfter
	message := strings.ToLower(e.Message)
	says := func(text string) bool { return strings.Contains(message, text) }
	switch e.Status {
	case 400:
		if at == uploadEndpoint && (e.Code == "auth_token_limit" || says(sharedToken) || slices.ContainsFunc(damaged, says)) {
			c.Action = retry.AtOnce
		}
	case 401:
		switch e.Code {
		case "expired_auth_token", "bad_auth_token", "":
			c.Action, c.login = retry.AtOnce, at == apiEndpoint
		case "unauthorized": // for which logging in again does not help (documented, reported)
			if at == uploadEndpoint {
				c.Action, c.once = retry.AtOnce, true
			}
		}
	case 429:
		c.Action, c.keepURL = retry.BackOff, at == uploadEndpoint
	}
	// The state that a finish was refused for can be the one that it leads to.
	if e.Call == finishLargeFile.name && e.Code != "" && (isGone(err) || e.Status == 409 || e.Status == 400 && (says("file id") || says("fileid"))) {
		c.Outcome = retry.Conflict
	}
	return c
}

// place has a failed upload tried again at once, at another URL.
func place(at endpoint, v retry.Verdict) retry.Verdict {
	if at == uploadEndpoint && v.Action == retry.BackOff {
		v.Action = retry.AtOnce
	}
	return v
}
