package localserver

import (
	"errors"
	"net/http"
	"strings"
)

// The kinds of faults that every server for tests has, each with one meaning.
// What is refused, dropped or stalled is not carried out; what is lost,
// truncated or garbage is. An early fault comes before the server reads the
// request's body, the others once it has read it whole.
const (
	Refuse      = "refuse" // an error is the answer
	RefuseEarly = Refuse + early
	Drop        = "drop" // the connection is closed
	DropEarly   = Drop + early
	Stall       = "stall" // nothing is answered, until the client goes or the server is closed
	StallEarly  = Stall + early
	// the connection is closed in place of the answer, or an error is answered
	LoseAnswer = "lose-answer"
	Truncate   = "truncate" // the connection is closed in the middle of the answer
	Garbage    = "garbage"  // the answer is 200 with a page of HTML

	early = "-early"
)

// ErrGone ends an exchange without an answer: the connection is dropped.
var ErrGone = errors.New("connection dropped")

// CommitEarly commits a fault of a kind that is early. It returns refusal,
// which is to be answered, or [ErrGone]; nil if the fault is another one. A
// server does not see the client of a request go whose body it has not read.
func (e *Endpoints) CommitEarly(kind string, r *http.Request, refusal error) error {
	kind, found := strings.CutSuffix(kind, early)
	if !found {
		return nil
	}
	return e.Commit(kind, r, refusal)
}

// Commit commits a fault of a kind that is not early, before the request is
// carried out. It returns what CommitEarly does.
func (e *Endpoints) Commit(kind string, r *http.Request, refusal error) error {
	switch kind {
	case Refuse:
		return refusal
	case Drop:
		return ErrGone
	case Stall:
		select {
		case <-r.Context().Done():
		case <-e.closing:
		}
		return ErrGone
	}
	return nil
}

// Lost returns what is answered in place of an answer that is lost: refusal if
// it has a status, otherwise [ErrGone].
func Lost(status int, refusal error) error {
	if status == 0 {
		return ErrGone
	}
	return refusal
}

// Spoils reports whether the client does not learn from the answer that its
// request was carried out.
func Spoils(kind string) bool { return kind == LoseAnswer || kind == Truncate || kind == Garbage }

// Cut sends half of an answer's body and drops the connection: it does not
// return.
func Cut(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
