package b2test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// FaultKind says what a [Fault] does to a request.
type FaultKind string

// The kinds of faults. The zero kind is Refuse. The early ones come before the
// body of an upload is read.
const (
	// Refuse reads the request whole, does nothing, and answers Status, Code,
	// Message and RetryAfter.
	Refuse FaultKind = localserver.Refuse

	// RefuseEarly answers like Refuse, and closes the connection.
	RefuseEarly FaultKind = localserver.RefuseEarly

	// Drop reads the request whole, does nothing, and closes the connection.
	Drop FaultKind = localserver.Drop

	// DropEarly closes the connection and does nothing.
	DropEarly FaultKind = localserver.DropEarly

	// DropMidBody closes the connection after half of the body, and does
	// nothing.
	DropMidBody FaultKind = "drop-mid-body"

	// Stall reads the request whole and never answers. It ends when the client
	// goes or the server closes.
	Stall FaultKind = localserver.Stall

	// StallEarly neither reads nor answers. It ends when the server closes.
	StallEarly FaultKind = localserver.StallEarly

	// LoseAnswer does the work, then closes the connection; with a Status it
	// answers that instead, as a gateway does.
	LoseAnswer FaultKind = localserver.LoseAnswer

	// Truncate does the work and sends half of the 200 answer, or of a
	// download.
	Truncate FaultKind = localserver.Truncate

	// Garbage does the work and answers 200 with a page of HTML. Downloads pass
	// it by, and the two below.
	Garbage FaultKind = localserver.Garbage

	// SlowBody reads the body, or sends a download, at Rate bytes per second,
	// then goes on as usual.
	SlowBody FaultKind = "slow-body"

	// Wait does nothing but the waiting that Delay and Hold ask for, then works
	// and answers as usual. A client that went meanwhile does not stop the
	// work.
	Wait FaultKind = "wait"

	// WrongSHA1 does the work and answers with another contentSha1.
	WrongSHA1 FaultKind = "wrong-sha1"

	// WrongLength does the work and answers with another contentLength.
	WrongLength FaultKind = "wrong-length"

	// ExpireToken ends the token of the request, the account's or the upload
	// URL's, and so answers 401 expired_auth_token. An authorize call has no
	// token and does not meet it.
	ExpireToken FaultKind = "expire-token"

	// VaultFull fills the vault of a large file: 503 for the
	// b2_get_upload_part_url that meets it, and for every later one of that
	// file. No other call meets it.
	VaultFull FaultKind = "vault-full"
)

// Fault is one scripted misbehaviour. A request meets the first fault that
// matches it and is not spent.
type Fault struct {
	// Call is the name of the call it is for, b2_upload_part for example; empty
	// matches all. A download by name is b2_download_file_by_name.
	Call string

	// Part is the part number of b2_upload_part; 0 matches all.
	Part int

	// Skip is how many matching requests pass before the first one is met.
	Skip int

	// Count is how many requests it is for; 0 means one, a negative number all.
	Count int

	// Kind is what it does; empty means Refuse.
	Kind FaultKind

	// Status of the answer of Refuse, RefuseEarly and LoseAnswer. Where 0, the
	// first two answer 503, LoseAnswer nothing.
	Status int

	// Code and Message of the answer. An empty code is the one that goes with
	// Status; 502 and 504 without a code are pages of HTML, as gateways send
	// them.
	Code, Message string

	// Gateway makes the answer a page of HTML whatever the Status, as from
	// something in front of the service.
	Gateway bool

	// RetryAfter is the header's value: seconds, a date, or what is neither;
	// empty sends none.
	RetryAfter string

	// Rate is bytes per second, for SlowBody.
	Rate int64

	// Delay is slept, in real time, after the request was read and before it is
	// worked on; kinds that do not read the request whole do without.
	Delay time.Duration

	// Hold, when it is not nil, is waited for after Delay. Closing it lets
	// every request that waits go on.
	Hold <-chan struct{}
}

// Inject adds faults behind those already there. The error names a value that
// no fault can have; then none is added.
func (s *Server) Inject(faults ...Fault) error {
	for i := range faults {
		if err := s.checkFault(faults[i]); err != nil {
			return err
		}
	}
	for _, f := range faults {
		if f.Kind == "" {
			f.Kind = Refuse
		}
		s.faults.Add(f, f.Skip, f.Count)
	}
	return nil
}

func (s *Server) checkFault(f Fault) error {
	switch f.Kind {
	case "", Refuse, RefuseEarly, Drop, DropEarly, DropMidBody, LoseAnswer, Stall, StallEarly, Wait, Truncate, Garbage, WrongSHA1, WrongLength,
		ExpireToken, VaultFull:
	case SlowBody:
		if f.Rate <= 0 {
			return fmt.Errorf("b2test: fault %s needs a Rate above 0, not %d", f.Kind, f.Rate)
		}
	default:
		return fmt.Errorf("b2test: no fault kind %q", f.Kind)
	}
	if _, known := s.calls[f.Call]; !known && f.Call != "" {
		return fmt.Errorf("b2test: no call %q", f.Call)
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("b2test: fault Status %d is not within 400 and 599", f.Status)
	}
	if f.Skip < 0 || f.Part < 0 || f.Delay < 0 {
		return fmt.Errorf("b2test: fault Skip %d, Part %d and Delay %v must not be negative", f.Skip, f.Part, f.Delay)
	}
	return nil
}

// Fired says how often each fault has met a request, in the order of
// [Server.Inject].
func (s *Server) Fired() []int {
	all := s.faults.All()
	fired := make([]int, len(all))
	for i, f := range all {
		fired[i] = f.Fired
	}
	return fired
}

// ClearFaults forgets all faults. Requests that have met one stay with it.
func (s *Server) ClearFaults() { s.faults.Clear() }

// matches says whether f is for a request of call. What a call cannot suffer is
// not for it.
func (f Fault) matches(call string, part int) bool {
	switch {
	case f.Call != "" && f.Call != call, f.Part != 0 && f.Part != part:
		return false
	case f.Kind == ExpireToken:
		return call != "b2_authorize_account"
	case f.Kind == VaultFull:
		return call == "b2_get_upload_part_url"
	}
	return true
}

// refusal is what f answers.
func (f Fault) refusal() *apiError {
	e := &apiError{status: f.Status, code: f.Code, message: f.Message, retryAfter: f.RetryAfter}
	if e.status == 0 {
		e.status = http.StatusServiceUnavailable
	}
	switch {
	case f.Gateway:
		e.html = true
	case e.code == "":
		e.html = e.status == http.StatusBadGateway || e.status == http.StatusGatewayTimeout
		if !e.html {
			e.code = defaultCode(e.status)
		}
	}
	return e
}

// fire meets the request with its fault, as far as that comes before the work.
func (x *exchange) fire() error {
	x.fault, _ = x.s.faults.Meet(func(f Fault) bool { return f.matches(x.log.Call, x.log.Part) })
	if err := x.s.endpoints.CommitEarly(string(x.fault.Kind), x.r, x.fault.refusal()); err != nil {
		return err
	}
	switch x.fault.Kind {
	case DropMidBody:
		_ = x.drain(x.r.ContentLength / 2) // the connection ends either way
		return localserver.ErrGone
	case Refuse, Drop, Stall:
		if err := x.drain(-1); err != nil {
			return err
		}
		if err := x.hold(); err != nil {
			return err
		}
		return x.s.endpoints.Commit(string(x.fault.Kind), x.r, x.fault.refusal())
	}
	return nil
}

// hold waits as the fault asks, between reading a request and working on it.
// The client's going does not end it.
func (x *exchange) hold() error {
	if x.fault.Delay > 0 {
		timer := time.NewTimer(x.fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.s.endpoints.Closing():
			return localserver.ErrGone
		}
	}
	if x.fault.Hold != nil {
		select {
		case <-x.fault.Hold:
		case <-x.s.endpoints.Closing():
			return localserver.ErrGone
		}
	}
	return nil
}

// spoil renders an answer as the fault wants it.
func (x *exchange) spoil(answer any) string {
	o, isObject := answer.(object)
	switch x.fault.Kind {
	case Garbage:
		return "<html><body>Welcome</body></html>\n"
	case WrongSHA1:
		if _, has := o["contentSha1"]; isObject && has {
			o["contentSha1"] = "0000000000000000000000000000000000000000"
		}
	case WrongLength:
		if length, has := o["contentLength"].(int64); isObject && has {
			o["contentLength"] = length + 1
		}
	}
	return render(answer) + "\n"
}

// testMode obeys X-Bz-Test-Mode (documented; how often each mode strikes is
// uncertain: here it is every second request that it is for, beginning with the
// first).
func (x *exchange) testMode() error {
	mode := x.r.Header.Get("X-Bz-Test-Mode")
	if mode == "" {
		return nil
	}
	upload := x.call.host == uploadHost
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	strikes := func() bool {
		x.s.testModes++
		return x.s.testModes%2 == 1
	}
	switch {
	case mode == "fail_some_uploads" && upload && strikes():
		return &apiError{status: http.StatusServiceUnavailable, code: "service_unavailable", message: "test mode"}
	case mode == "expire_some_account_authorization_tokens" && x.call.host == apiHost && strikes():
		x.fault.Kind = ExpireToken
	case mode == "force_cap_exceeded" && capped(x.log.Call):
		return &apiError{status: http.StatusForbidden, code: "storage_cap_exceeded", message: "test mode"}
	}
	return nil
}

// capped says whether a cap on storage is among the errors of a call: of those
// that store something, and of those that say where to (documented).
func capped(call string) bool {
	switch call {
	case "b2_get_upload_url", "b2_upload_file", "b2_start_large_file", "b2_get_upload_part_url", "b2_upload_part",
		"b2_copy_part", "b2_copy_file":
		return true
	}
	return false
}
