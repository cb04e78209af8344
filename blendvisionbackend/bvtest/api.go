package bvtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice/internal/localserver"
)

const (
	filesPath = "/bv/cms/v1/library/files" // documented
	maxBody   = 16 << 20                   // of an API request: assumed
)

// serveAPI serves the API host.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	call, fileID := route(r)
	fault := s.due(call, 0)
	answer, v, err := s.runAPI(call, fileID, fault, r)
	s.complain(r, err)
	if localserver.Spoils(string(fault.Kind)) || r.Context().Err() != nil {
		s.unsure(call, v, err)
	}
	if err == nil && fault.Kind == LoseAnswer {
		err = localserver.Lost(fault.Status, fault.refusal())
	}
	var refusal *apiError
	switch {
	case errors.As(err, &refusal):
		if fault.Kind == RefuseEarly {
			w.Header().Set("Connection", "close")
		}
		refusal.send(w)
	case err != nil:
		panic(http.ErrAbortHandler)
	case fault.Kind == Garbage:
		sendBody(w, http.StatusOK, "application/json", []byte("<html>200 OK</html>"))
	default:
		body, _ := json.Marshal(answer)
		if fault.Kind == Truncate {
			sendHalf(w, body)
		}
		sendBody(w, http.StatusOK, "application/json", body)
	}
}

// route finds the call that a path names, and the file id in it; an empty call is none.
func route(r *http.Request) (Call, string) {
	rest, ok := strings.CutPrefix(r.URL.Path, filesPath)
	if !ok {
		return "", ""
	}
	if rest == ":upload" {
		return CallUpload, ""
	}
	rest, ok = strings.CutPrefix(rest, "/")
	id, verb, colon := strings.Cut(rest, ":")
	call := Call(verb)
	if !ok || !colon || call != CallComplete && call != CallCancel && call != CallDownload {
		return "", ""
	}
	return call, id
}

// runAPI checks the request and carries the call out. The session is the one it
// is about, nil if there is none.
func (s *Server) runAPI(call Call, fileID string, fault Fault, r *http.Request) (any, *session, error) {
	if call == "" || r.URL.RawQuery != "" {
		return nil, nil, errNotFound("path")
	}
	if r.Method != http.MethodPost {
		return nil, nil, &apiError{status: http.StatusMethodNotAllowed, code: 12, message: r.Method + " is not allowed"}
	}
	if err := s.before(fault, r); err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, nil, localserver.ErrGone
	}
	if err := s.between(fault, r); err != nil {
		return nil, nil, err
	}
	if err := s.authorize(r); err != nil {
		return nil, nil, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, nil, errInvalid("content-type %q is not application/json", r.Header.Get("Content-Type"))
	}
	if len(body) > maxBody {
		return nil, nil, errInvalid("the request is over %d bytes", maxBody)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if call == CallUpload {
		return s.open(body)
	}
	if fileID == "" {
		return nil, nil, errInvalid("the file id is empty")
	}
	v := s.session(fileID)
	if v == nil {
		return nil, nil, errNotFound("file " + strconv.Quote(fileID))
	}
	var answer any
	switch call {
	case CallComplete:
		answer, err = s.complete(v, body)
	case CallCancel:
		answer, err = s.cancel(v, body)
	case CallDownload:
		answer, err = s.download(v, body)
	}
	return answer, v, err
}

// authorize checks the two headers of every API request.
func (s *Server) authorize(r *http.Request) error {
	switch r.Header.Get("Authorization") {
	case "Bearer " + s.opts.Token:
	case "":
		return errUnauthenticated("authorization is missing")
	default:
		return errUnauthenticated("authorization is unidentified")
	}
	if r.Header.Get("X-Bv-Org-Id") != s.opts.OrgID {
		return errPermission("x-bv-org-id is missing, or not the token's organization")
	}
	return nil
}

// unsure notes that the client cannot know how the call ended.
func (s *Server) unsure(call Call, v *session, err error) {
	if v == nil || err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch call {
	case CallUpload:
		v.unheard = true
	case CallComplete:
		v.uncertain = true
	}
}

// decode reads a request as strictly as the proto3 JSON mapping: unknown fields are refused.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errInvalid("request: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errInvalid("request: more than one JSON value")
	}
	return nil
}

// int64Value reads an integer from a JSON number or string, as the proto3 JSON mapping has it.
type int64Value int64

func (v *int64Value) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*v = int64Value(n)
	return err
}

// sendBody answers in one piece.
func sendBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// sendHalf answers half of the body and drops the connection.
func sendHalf(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	localserver.Cut(w, body)
}
