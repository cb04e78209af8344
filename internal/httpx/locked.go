package httpx

import (
	"errors"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
)

// Locked returns what keeps a file from being removed, by the words of the
// store: an error that matches [sluice.ErrLocked], or nil if nothing does. mode
// is that of Object Lock, "" without it, and hold a legal hold. A lock whose time
// has passed keeps nothing.
func Locked(mode, until string, hold bool) error {
	var reasons []string
	end, err := time.Parse(time.RFC3339, until)
	if mode != "" && (err != nil || end.After(time.Now())) {
		reasons = append(reasons, "Object Lock ("+strings.ToLower(mode)+") keeps it until "+until)
	}
	if hold {
		reasons = append(reasons, "a legal hold keeps it")
	}
	if reasons == nil {
		return nil
	}
	return lockedError{errors.New(Present(strings.Join(reasons, "; ")))}
}

type lockedError struct{ error }

func (lockedError) Is(target error) bool { return target == sluice.ErrLocked }
