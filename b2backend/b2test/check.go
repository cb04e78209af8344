package b2test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// ledger is what the server notes about its clients. The server's lock guards it.
type ledger struct {
	violations []error
	logins     []time.Time // of authorize calls, successful or not
	urls       int         // upload URLs given out
	requests   []Request
	counts     map[string]int
	kept       map[string]bool // names whose large files may stay unfinished
}

func (l *ledger) violation(format string, args ...any) {
	l.violations = append(l.violations, fmt.Errorf("b2test: "+format, args...))
}

func (l *ledger) authorized(now time.Time) { l.logins = append(l.logins, now) }

// ExpectUnfinished says that large files of these names may be left unfinished
// when [Server.Check] looks.
func (s *Server) ExpectUnfinished(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger.kept == nil {
		s.ledger.kept = map[string]bool{}
	}
	for _, name := range names {
		s.ledger.kept[name] = true
	}
}

// Check returns, joined, everything that no correct client does whatever it was
// answered, nil if there is nothing:
//
//   - an upload URL used by two uploads at a time,
//   - an account token sent to an upload host,
//   - an upload URL, a part or a cancel for a large file after its finish was answered with success; to repeat the finish or to
//     look the file up is fair, because the server cannot know that the answer arrived,
//   - a cancel, or a delete, while the outcome of a finish is open: at work, or its answer lost and the file not looked up,
//     nor shown by a list, since,
//   - more than [Options.MaxAuthorize] authorize calls within a minute of the server's time,
//   - more than [Options.MaxUploadURLs] upload URLs,
//   - a large file left unfinished that [Server.ExpectUnfinished] does not name.
//
// It is for the end of a test, when the client has ended.
func (s *Server) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := slices.Clone(s.ledger.violations)
	if n := mostWithin(s.ledger.logins, time.Minute); s.opts.MaxAuthorize > 0 && n > s.opts.MaxAuthorize {
		found = append(found, fmt.Errorf("b2test: %d authorize calls within a minute, the limit is %d", n, s.opts.MaxAuthorize))
	}
	if s.opts.MaxUploadURLs > 0 && s.ledger.urls > s.opts.MaxUploadURLs {
		found = append(found, fmt.Errorf("b2test: %d upload URLs fetched, the limit is %d", s.ledger.urls, s.opts.MaxUploadURLs))
	}
	for _, f := range s.allUnfinished() {
		if !s.ledger.kept[f.name] {
			found = append(found, fmt.Errorf("b2test: large file %s (%s) left unfinished", f.name, f.id))
		}
	}
	return errors.Join(found...)
}

// mostWithin is the largest number of moments, which are in order, that lie within a span.
func mostWithin(moments []time.Time, span time.Duration) int {
	most, first := 0, 0
	for i, now := range moments {
		for now.Sub(moments[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// finishes is what is known of a large file's finishes.
type finishes struct {
	finishing int  // calls at work
	unsettled bool // one was sent and its outcome is not known to the client
	finished  bool // one was answered with success, and the answer was delivered
}

// complain files that a request came too late, unless its client has hung up:
// one that was cut off, and then overtaken by what the client did next, is no
// fault of the client's.
func (x *exchange) complain(err error) {
	_, answered := errors.AsType[*apiError](err)
	if x.late == "" || err != nil && !answered || x.drain(-1) != nil || !x.s.endpoints.Stays(x.r) {
		return
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.ledger.violation("%s", x.late)
}

// observe looks at a request on arrival, before anything is done to it or with
// it. The lock is held.
func (x *exchange) observe() {
	id := x.log.FileID
	if x.log.Call == "b2_copy_part" {
		id = x.args.peek("largeFileId")
		x.log.FileID = id
	}
	f := x.s.files[id]
	if f == nil {
		return
	}
	switch x.log.Call {
	case "b2_cancel_large_file", "b2_get_upload_part_url", "b2_upload_part", "b2_copy_part":
		if f.finished {
			x.late = fmt.Sprintf("%s: sent after the finish of %s (%s) succeeded", x.log.Call, f.name, id)
		}
	}
	switch x.log.Call {
	case "b2_cancel_large_file", "b2_delete_file_version":
		if f.unsettled {
			x.s.ledger.violation("%s: sent while the outcome of the finish of %s (%s) is open", x.log.Call, f.name, id)
		}
	case "b2_finish_large_file":
		x.large, x.wasOpen = f, f.unsettled
		f.finishing++
		f.unsettled = true
	}
}

// settle notes what the client now knows of a finish. A refusal for other
// reasons than the file's state (busy, not authorized) says that this finish
// was not done, but nothing of an earlier one. The lock is held.
func (x *exchange) settle(status int, delivered bool) {
	told := delivered && (status < 300 && status != 0 || status == http.StatusBadRequest || status == http.StatusNotFound)
	if f := x.large; f != nil {
		f.finishing--
		switch {
		case told:
			f.unsettled = false
			f.finished = f.finished || status == http.StatusOK
		case delivered && (status < 500 || status == http.StatusServiceUnavailable):
			f.unsettled = x.wasOpen
		}
		return
	}
	switch x.log.Call {
	case "b2_list_parts", "b2_get_file_info", "b2_download_file_by_id", downloadByNameCall:
		if f := x.s.files[x.log.FileID]; f != nil && told && f.finishing == 0 {
			f.unsettled = false
		}
	}
	for _, f := range x.listed {
		if told && f.finishing == 0 {
			f.unsettled = false
		}
	}
}
