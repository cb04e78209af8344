package blendvisionbackend

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// conflicts are the codes of a completion that is refused because of a state that
// can be the one that it leads to. What a second completion is answered is not
// documented, so these are all codes that can be about it. INVALID_ARGUMENT should
// not be: it means that the request is wrong whatever the state (google.rpc.Code:
// documented).
var conflicts = []string{"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "ABORTED"}

// classify classifies a failure: the same as for every store. Neither the API nor
// the object store has a code that says otherwise.
func classify(err error) retry.Verdict {
	e, answered := errors.AsType[*Error](err)
	if !answered {
		return httpx.Classify(err)
	}
	v := httpx.ClassifyAnswer(e.Status, e.Code != "")
	v.After = e.RetryAfter
	if v.Outcome == retry.NotDone && slices.Contains(conflicts, e.Code) {
		v.Outcome = retry.Conflict
	}
	return v
}

// gone reports whether the API said that what a call was about is not there.
func gone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound && e.Code == "NOT_FOUND"
}

// invalid reports whether the API said that a request is wrong in itself.
func invalid(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == "INVALID_ARGUMENT"
}

// notFound makes an error about a file that is not there, by the word of the API
// or of the object store, match fs.ErrNotExist.
func notFound(err error) error {
	e, ok := errors.AsType[*Error](err)
	if gone(err) || ok && e.Call == callGet && e.Status == http.StatusNotFound && e.Code != "" {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

func unauthenticated(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusUnauthorized && e.Code != ""
}
