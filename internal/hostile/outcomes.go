package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/testutil"
)

// Happening is what becomes of a request that changes the store.
type Happening string

// The happenings.
const (
	Never  Happening = "never done"
	AtOnce Happening = "done"
	Soon   Happening = "done soon" // some seconds later
	Late   Happening = "done late" // when nothing asks for it any more
)

const (
	soon = 8 * time.Second
	late = 40 * time.Hour
)

// Sequel is what meets the attempts after the first.
type Sequel string

// The sequels.
const (
	Same    Sequel = "each time"
	Honest  Sequel = "once"
	Refused Sequel = "then refused"
	GivenUp Sequel = "and the context ends"
	Lesser  Sequel = "then its checksum is rejected, and the rest is refused"
)

// Sight is what the requests that look for the outcome show.
type Sight string

// The sights.
const (
	Everything Sight = "everything"
	Nothing    Sight = "nothing"                    // they are not answered
	Denied     Sight = "no permission"              // the store refuses them
	Older      Sight = "everything, and older file" // of the same name and size
	Lagging    Sight = "the past"                   // for some seconds
	Behind     Sight = "the past, for long"
	Twin       Sight = "everything, and older file of the same bytes"
	FileOnly   Sight = "the file, not the upload"
	TwinOnly   Sight = "the file, with older one of the same bytes, not the upload"
	UploadOnly Sight = "the upload, not the file"
)

// Old reports whether an older file of the same name and size is there.
func (s Sight) Old() bool { return s == Older || s.Same() }

// Same reports whether that has the same bytes, too.
func (s Sight) Same() bool { return s == Twin || s == TwinOnly }

// lags are how long a look shows the past.
var lags = map[Sight]time.Duration{Lagging: 5 * time.Second, Behind: 30 * time.Hour}

// Extra is what only some calls can meet.
type Extra string

// The extras.
const (
	Conflicts Extra = "conflicts" // Stage.Conflict is set
	Checksums Extra = "checksums" // Stage.Reject is set
	Uploads   Extra = "uploads"   // Stage.LooksForUpload is set
)

// Trial is one row of the truth table of requests that must not be repeated
// blindly.
type Trial struct {
	Happening Happening
	Reply     string
	Sequel    Sequel
	Sight     Sight

	heard hearing
}

// hearing is what the client gets to hear.
type hearing struct {
	name string
	// when are the happenings that the reply is consistent with; nil is all.
	when    []Happening
	give    func(s *Stage, req *http.Request, honest *http.Response) (*http.Response, error)
	refuses bool // it is evidence that nothing was done
}

// Stage is a store and a call that is made to it. Its functions run in a bubble
// of package testing/synctest.
type Stage struct {
	// Store answers honestly, and Past as it did before the call, for some seconds.
	Store, Past http.RoundTripper
	// Changes reports whether a request is the one that must not be repeated
	// blindly, Looks whether it looks for the outcome, and Removes whether it
	// cancels or deletes.
	Changes, Looks, Removes func(*http.Request) bool
	// LooksForUpload reports whether it looks by the ID of the upload that the call
	// ends, and not for the file by its name.
	LooksForUpload func(*http.Request) bool
	// Conflict returns the store's own error to a request that finds another one
	// done, or at work.
	Conflict func(*http.Request) *http.Response
	// Reject returns the store's own error to a request with a checksum that it does
	// not know, nil to one without.
	Reject func(*http.Request) *http.Response
	// Own returns the store's own error of a status: 400, 403, 500 or 503.
	Own func(req *http.Request, status int) *http.Response
	// Run makes the call over the transport, and then whatever its user would do to
	// clean up after the error that it returns.
	Run func(ctx context.Context, rt http.RoundTripper) error
	// There reports whether the store has what the call makes.
	There func() bool
	// Doubt is what an error matches that leaves the outcome open.
	Doubt error
	// Known is whether the outcome can be learned if all can be seen.
	Known bool
	// Repeats is whether a request that arrives twice does twice what was asked, so
	// that what the first one made stays without the client's knowledge.
	Repeats bool
	// Refuses is whether the store refuses the request if it arrives.
	Refuses bool
}

// secondAnswer is the reply of a proxy that lost the store's answer, sent the
// request again by itself, and passes on what the store answered to that.
const secondAnswer = "the answer to a second request"

// The replies of a store that finds another request done, or at work: at once, or
// after a while.
const (
	conflict     = "conflict"
	lateConflict = "conflict, after a while"
	aWhile       = 100 * time.Second
)

// few are the replies that are tried with the rarer sights: one of each kind.
var few = []string{"reset", "own 500", secondAnswer, conflict, lateConflict}

// bare are statuses that something before a store answers with, one of each kind.
var bare = []int{400, 404, 429, 499, 502, 524, 999}

// hearings are all that a client may get to hear.
func hearings() []hearing {
	list := []hearing{
		{"success", []Happening{AtOnce}, func(_ *Stage, _ *http.Request, honest *http.Response) (*http.Response, error) {
			return honest, nil
		}, false},
		{secondAnswer, []Happening{AtOnce}, func(_ *Stage, _ *http.Request, honest *http.Response) (*http.Response, error) {
			return honest, nil
		}, false},
		{"cut success", []Happening{AtOnce}, func(_ *Stage, _ *http.Request, honest *http.Response) (*http.Response, error) {
			honest.Body = cut(honest.Body, io.ErrUnexpectedEOF)
			return honest, nil
		}, false},
		{"reset", nil, func(*Stage, *http.Request, *http.Response) (*http.Response, error) {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
		}, false},
		{"silence", nil, func(_ *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		}, false},
		{"unreachable", []Happening{Never}, func(_ *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GetConn != nil {
				trace.GetConn(req.URL.Host) // as a transport does that then gets no connection
			}
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		}, true},
		{"200 and nothing", nil, func(_ *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			return reply(req, http.StatusOK, ""), nil
		}, false},
		{"200 and a page", nil, func(_ *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			return reply(req, http.StatusOK, "<html><body>Welcome</body></html>"), nil
		}, false},
	}
	for _, status := range bare {
		list = append(list, hearing{fmt.Sprintf("bare %d", status), nil, func(_ *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			return reply(req, status, "<html><body>error</body></html>"), nil
		}, false})
	}
	for _, status := range []int{400, 403, 500, 503} {
		r := hearing{fmt.Sprintf("own %d", status), nil, func(s *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			return s.Own(req, status), nil
		}, false}
		if status < 500 {
			r.when, r.refuses = []Happening{Never}, true
		}
		list = append(list, r)
	}
	return append(list,
		hearing{conflict, nil, func(s *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			return s.Conflict(req), nil
		}, false},
		hearing{lateConflict, nil, func(s *Stage, req *http.Request, _ *http.Response) (*http.Response, error) {
			select {
			case <-time.After(aWhile):
				return s.Conflict(req), nil
			case <-req.Context().Done():
				return nil, context.Cause(req.Context())
			}
		}, false},
	)
}

// trials is the truth table of a call with these extras.
func trials(extras []Extra) []Trial {
	sequels := []Sequel{Same, Honest, Refused, GivenUp}
	if slices.Contains(extras, Checksums) {
		sequels = append(sequels, Lesser)
	}
	usual, rare := []Sight{Everything, Nothing, Denied, Older, Lagging}, []Sight{Behind, Twin}
	if slices.Contains(extras, Uploads) {
		rare = append(rare, FileOnly, TwinOnly, UploadOnly)
	}
	var list []Trial
	for _, r := range hearings() {
		conflicts := r.name == conflict || r.name == lateConflict
		if conflicts && !slices.Contains(extras, Conflicts) {
			continue
		}
		when, sights := r.when, usual
		if when == nil {
			when = []Happening{Never, AtOnce, Soon, Late}
		}
		if slices.Contains(few, r.name) {
			sights = slices.Concat(usual, rare)
		}
		for _, happening := range when {
			for _, sequel := range sequels {
				for _, sight := range sights {
					list = append(list, Trial{happening, r.name, sequel, sight, r})
				}
			}
		}
	}
	return list
}

// outcomesUnderRace is how many trials lie between those that are made under the
// race detector, which makes each several times slower. It has no divisor with
// the numbers of sequels and sights in common, so that all of them occur.
const outcomesUnderRace = 7

// TestOutcomes has a call meet every combination of what happens, what is
// answered and what can be seen. The error is nil only if what the call makes is
// there in the end. It leaves no doubt only if that is not there. After doubt
// nothing is removed. And there is no doubt where the outcome can be known.
//
// stage makes a fresh store, with an older file of the same name and size if the
// sight is Old. extras are what the call can meet.
func TestOutcomes(t *testing.T, stage func(*testing.T, Trial) *Stage, extras ...Extra) {
	for i, trial := range trials(extras) {
		if testutil.Race && i%outcomesUnderRace > 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("the request is %s, answered by %q (%s), and a look shows %s",
						trial.Happening, trial.Reply, trial.Sequel, trial.Sight)
				}
			}()
			trial.run(t, stage(t, trial))
		})
	}
}

func (trial Trial) run(t *testing.T, s *Stage) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &world{Stage: s, trial: trial, giveUp: cancel}
	err := s.Run(ctx, w)
	time.Sleep(2 * late)
	w.pending.Wait()
	there := s.There()
	doubt := errors.Is(err, s.Doubt)
	require.Positive(t, w.changes, "the request was not made")
	switch {
	case err == nil:
		require.True(t, there, "it is a success, and nothing is there")
	case doubt:
		require.Zero(t, w.removed, "something was removed in doubt: %v", err)
	case !s.Repeats || trial.Reply != secondAnswer:
		require.False(t, there, "it is a certain failure, and all is there: %v", err)
	}
	seen := !slices.Contains([]Sight{Nothing, Denied, Behind, FileOnly, UploadOnly, TwinOnly}, trial.Sight)
	switch {
	case s.Refuses:
		require.Error(t, err)
	case trial.Reply == "success" && trial.Sequel != GivenUp:
		require.NoError(t, err)
	case trial.heard.refuses && trial.Sequel != Honest:
		require.Error(t, err)
		require.False(t, doubt, "it is certain: %v", err)
	case s.Known && seen && (trial.Happening == AtOnce || trial.Happening == Soon):
		require.NoError(t, err, "it can be seen")
	}
}

// world stands between a client and the store.
type world struct {
	*Stage
	trial  Trial
	giveUp func()

	mu      sync.Mutex
	changes int
	removed int
	began   time.Time // of the first change
	pending sync.WaitGroup
}

// RoundTrip has each kind of request meet what the trial has for it.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case w.Changes(req):
		return w.change(req)
	case w.Removes(req):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.removed++
	case w.Looks(req):
		return w.look(req)
	}
	return w.Store.RoundTrip(req)
}

func (w *world) change(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.changes++
	first := w.changes == 1
	if first {
		w.began = time.Now()
	}
	w.mu.Unlock()
	if w.trial.Reply == "unreachable" && (first || w.trial.Sequel == Same) {
		if w.trial.Sequel == GivenUp {
			w.giveUp()
		}
		return w.trial.heard.give(w.Stage, req, nil) // none of it is read
	}
	if !first && w.trial.Sequel == Honest {
		return w.Store.RoundTrip(req)
	}
	if !first && w.trial.Sequel == Lesser {
		if rejected := w.Reject(req); rejected != nil {
			return rejected, nil
		}
		return w.Own(req, http.StatusForbidden), nil
	}
	copied, err := readWhole(req)
	if err != nil {
		return nil, err
	}
	if !first && w.trial.Sequel == Refused {
		return w.Own(req, http.StatusForbidden), nil
	}
	if w.trial.Sequel == GivenUp {
		w.giveUp()
	}
	var honest *http.Response
	switch w.trial.Happening {
	case AtOnce:
		if honest, err = w.Store.RoundTrip(copied()); err != nil {
			return nil, err
		}
		if w.trial.Reply == secondAnswer {
			_ = honest.Body.Close()
			if honest, err = w.Store.RoundTrip(copied()); err != nil {
				return nil, err
			}
		} else if !strings.Contains(w.trial.Reply, "success") {
			defer honest.Body.Close() // the client does not get it
		}
	case Soon:
		w.later(soon, copied())
	case Late:
		w.later(late, copied())
	}
	return w.trial.heard.give(w.Stage, req, honest)
}

// later has the store do what was asked after a while.
func (w *world) later(wait time.Duration, req *http.Request) {
	w.pending.Go(func() {
		time.Sleep(wait)
		if resp, err := w.Store.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
	})
}

func (w *world) look(req *http.Request) (*http.Response, error) {
	switch sight := w.trial.Sight; sight {
	case Nothing:
		return nil, io.EOF
	case Denied:
		return w.Own(req, http.StatusForbidden), nil
	case FileOnly, TwinOnly, UploadOnly:
		if w.LooksForUpload(req) != (sight == UploadOnly) {
			return w.Own(req, http.StatusForbidden), nil
		}
	default:
		if time.Since(w.began) < lags[sight] {
			return w.Past.RoundTrip(req)
		}
	}
	return w.Store.RoundTrip(req)
}

// readWhole reads a request, and returns what makes copies of it that do not end
// with its context.
func readWhole(req *http.Request) (func() *http.Request, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	return func() *http.Request {
		copied := req.Clone(context.WithoutCancel(req.Context()))
		copied.Body = io.NopCloser(bytes.NewReader(body))
		return copied
	}, nil
}
