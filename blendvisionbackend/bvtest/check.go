package bvtest

import (
	"errors"
	"fmt"
	"net/http"
)

// violate notes what no correct client does; the lock is held.
func (s *Server) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

// lateError is the refusal of a request that came when its session had ended,
// and what [Server.Check] says of that.
type lateError struct {
	error
	text string
}

func (e *lateError) Unwrap() error { return e.error }

// complain files that a request came too late, unless its client has hung up:
// one that was cut off, and then overtaken by what the client did next, is no
// fault of the client's.
func (s *Server) complain(r *http.Request, err error) {
	late, ok := errors.AsType[*lateError](err)
	if !ok || !s.endpoints.Stays(r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate("%s", late.text)
}

// Check returns an error that joins all that no correct client does, whatever
// answers it got, nil if there is nothing: credentials sent to the object
// store; a session neither completed nor cancelled, unless the answer that
// would have named it was spoiled by a fault; parts sent to a session that had
// ended, a second completion that no lost answer explains, a completed session
// cancelled. A fault that never fired is reported as well. It is for the end of
// a test.
func (s *Server) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, text := range s.violations {
		errs = append(errs, errors.New("bvtest: "+text))
	}
	for _, v := range s.sessions {
		if v.State == Open && !v.unheard {
			errs = append(errs, fmt.Errorf("bvtest: the session of %q was neither completed nor cancelled", v.Name))
		}
	}
	for _, text := range s.idleFaults() {
		errs = append(errs, errors.New("bvtest: "+text))
	}
	return errors.Join(errs...)
}
