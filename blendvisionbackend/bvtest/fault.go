package bvtest

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// Call names a call of the service.
type Call string

// The calls.
const (
	CallUpload   Call = "files:upload"    // opens a session
	CallPut      Call = "put"             // of a part, to its presigned URL
	CallComplete Call = "complete-upload" // of a session
	CallCancel   Call = "cancel-upload"   // of a session
	CallDownload Call = "download"        // of a file
	CallGet      Call = "get"             // of a file's bytes, from its download URL
)

// FaultKind is what a [Fault] does.
type FaultKind string

// The kinds of faults. What is refused, dropped or stalled is not carried out;
// what is lost, truncated or garbled is. An early one comes before the
// request's body is read, the others once it was read.
const (
	Refuse      FaultKind = localserver.Refuse      // answers Fault.Status
	RefuseEarly FaultKind = localserver.RefuseEarly // and closes the connection
	Drop        FaultKind = localserver.Drop        // closes the connection
	DropEarly   FaultKind = localserver.DropEarly
	// answers nothing until the client goes or the server is closed
	Stall      FaultKind = localserver.Stall
	StallEarly FaultKind = localserver.StallEarly // until the server is closed
	// closes the connection in place of the answer; answers Fault.Status if it
	// is set
	LoseAnswer FaultKind = localserver.LoseAnswer
	// closes the connection in the middle of the answer
	Truncate FaultKind = localserver.Truncate
	// answers 200 with a body that is no JSON, and a part without an ETag
	Garbage FaultKind = localserver.Garbage
)

// Fault says which calls go wrong, and how.
type Fault struct {
	Call Call
	// Part is the part's place in the plan, from 1, whatever the server numbers
	// it; 0 means any. For CallPut.
	Part int
	// Skip is how many of those calls go well first.
	Skip int
	// Count is how many go wrong then; 0 means one, a negative number all.
	Count int

	Kind FaultKind // "" is Refuse
	// Status is what Refuse, RefuseEarly and LoseAnswer answer with; 0 means
	// 503, and no answer for LoseAnswer.
	Status int
	// Message is the message of that answer; empty means the status in words.
	Message string
	// RetryAfter is a header of that answer.
	RetryAfter string
	// Gateway makes that answer a page of HTML, as from something in front of
	// the service.
	Gateway bool

	// Fired is called as the fault meets its call, before it does anything; nil
	// is skipped.
	Fired func()
}

// Inject adds faults behind those already there. Of several for one call the
// first that is due fires; those behind it do not see that call. A fault that
// never fires is reported by [Server.Check]. The error names a value that no
// fault can have; then none is added.
func (s *Server) Inject(faults ...Fault) error {
	for _, f := range faults {
		if err := f.check(); err != nil {
			return err
		}
	}
	for _, f := range faults {
		if f.Kind == "" {
			f.Kind = Refuse
		}
		if f.Status == 0 && f.Kind != LoseAnswer {
			f.Status = http.StatusServiceUnavailable
		}
		if f.Message == "" {
			f.Message = http.StatusText(f.Status)
		}
		s.faults.Add(f, f.Skip, f.Count)
	}
	return nil
}

func (f Fault) check() error {
	switch {
	case !slices.Contains([]Call{CallUpload, CallPut, CallComplete, CallCancel, CallDownload, CallGet}, f.Call):
		return fmt.Errorf("bvtest: Fault.Call %q is no call", f.Call)
	case !slices.Contains([]FaultKind{"", Refuse, RefuseEarly, Drop, DropEarly, Stall, StallEarly, LoseAnswer, Truncate, Garbage}, f.Kind):
		return fmt.Errorf("bvtest: Fault.Kind %q is no kind", f.Kind)
	case f.Part < 0 || f.Part > 0 && f.Call != CallPut:
		return fmt.Errorf("bvtest: Fault.Part %d of %s is negative, or of a call that has none", f.Part, f.Call)
	case f.Skip < 0:
		return fmt.Errorf("bvtest: Fault.Skip %d is negative", f.Skip)
	case f.Status != 0 && (f.Status < 300 || f.Status > 599):
		return fmt.Errorf("bvtest: Fault.Status %d is not within 300 and 599", f.Status)
	}
	return nil
}

// due is the fault for a call that just arrived; one of no Kind if none is due.
func (s *Server) due(call Call, part int) Fault {
	due, _ := s.faults.Meet(func(f Fault) bool { return f.Call == call && (f.Part == 0 || f.Part == part) })
	if due.Fired != nil {
		due.Fired()
	}
	return due
}

// before commits a fault that comes before the request's body is read.
func (s *Server) before(f Fault, r *http.Request) error {
	return s.endpoints.CommitEarly(string(f.Kind), r, f.refusal())
}

// between commits a fault that comes once the request was read, before it is
// carried out.
func (s *Server) between(f Fault, r *http.Request) error {
	return s.endpoints.Commit(string(f.Kind), r, f.refusal())
}

// refusal is what the fault answers: the host it is for picks the form.
func (f Fault) refusal() error {
	if f.Call == CallPut || f.Call == CallGet {
		return &storeError{status: f.Status, code: "InjectedFault", message: f.Message, retryAfter: f.RetryAfter, gateway: f.Gateway}
	}
	return &apiError{status: f.Status, code: grpcCode(f.Status), message: f.Message, retryAfter: f.RetryAfter, gateway: f.Gateway}
}

// idleFaults lists the faults that never fired.
func (s *Server) idleFaults() []string {
	var list []string
	for _, f := range s.faults.All() {
		if f.Fired == 0 {
			list = append(list, fmt.Sprintf("fault %q for %s never fired: its call came %d times", f.Fault.Kind, f.Fault.Call, f.Seen))
		}
	}
	return list
}
