package bvtest

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// serveObject serves the object store: PUT of a part, GET of a file, both by presigned URL.
func (s *Server) serveObject(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.serveFile(w, r)
		return
	}
	_, place := s.find(r.URL.Path)
	fault := s.due(CallPut, place)
	etag, err := s.put(r, fault)
	s.complain(r, err)
	if err == nil && fault.Kind == LoseAnswer {
		err = localserver.Lost(fault.Status, fault.refusal())
	}
	switch {
	case err != nil:
		if fault.Kind == RefuseEarly {
			w.Header().Set("Connection", "close")
		}
		sendStoreError(w, err)
	case fault.Kind == Truncate:
		w.Header().Set("ETag", etag)
		sendHalf(w, []byte("stored"))
	case fault.Kind == Garbage:
		sendBody(w, http.StatusOK, "text/html", []byte("<html>200 OK</html>"))
	default:
		w.Header().Set("ETag", etag)
		w.WriteHeader(http.StatusOK)
	}
}

// serveFile serves a file's bytes, ranges of them too (assumed).
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	fault := s.due(CallGet, 0)
	err := s.before(fault, r)
	if err == nil {
		err = s.between(fault, r)
	}
	var content []byte
	var finished time.Time
	if err == nil {
		content, finished, err = s.read(r)
	}
	if err == nil && fault.Kind == LoseAnswer {
		err = localserver.Lost(fault.Status, fault.refusal())
	}
	if err != nil {
		sendStoreError(w, err)
		return
	}
	digest := md5.Sum(content)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+hex.EncodeToString(digest[:])+`"`)
	switch fault.Kind {
	case Garbage:
		sendBody(w, http.StatusOK, "text/html", []byte("<html>200 OK</html>"))
		return
	case Truncate:
		defer panic(http.ErrAbortHandler)
		w = &halfWriter{w}
	}
	http.ServeContent(w, r, "", finished, bytes.NewReader(content))
}

// halfWriter passes half of each Write on.
type halfWriter struct{ http.ResponseWriter }

func (w *halfWriter) Write(p []byte) (int, error) {
	_, err := w.ResponseWriter.Write(p[:len(p)/2])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	return len(p) / 2, cmp.Or(err, localserver.ErrGone)
}

// sendStoreError answers a refusal, or drops the connection.
func sendStoreError(w http.ResponseWriter, err error) {
	var refusal *storeError
	if !errors.As(err, &refusal) {
		panic(http.ErrAbortHandler)
	}
	refusal.send(w)
}

// put stores a part and returns its ETag.
func (s *Server) put(r *http.Request, fault Fault) (string, error) {
	if r.Method != http.MethodPut {
		return "", &storeError{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed", message: r.Method}
	}
	if err := s.before(fault, r); err != nil {
		return "", err
	}
	if err := s.checkSigned(r); err != nil {
		return "", err
	}
	switch {
	case r.ContentLength < 0: // documented: a Content-Length is needed
		return "", &storeError{status: http.StatusLengthRequired, code: "MissingContentLength", message: "no Content-Length"}
	case r.ContentLength > maxPart:
		return "", &storeError{
			status: http.StatusBadRequest, code: "EntityTooLarge",
			message: fmt.Sprintf("%d bytes are over %d", r.ContentLength, int64(maxPart)),
		}
	case r.Header.Get("Content-Type") != "application/octet-stream": // assumed: that it is checked
		return "", &storeError{
			status: http.StatusBadRequest, code: "InvalidRequest",
			message: fmt.Sprintf("content-type %q is not application/octet-stream", r.Header.Get("Content-Type")),
		}
	}
	body := bytes.NewBuffer(make([]byte, 0, min(r.ContentLength, 8<<20)))
	if _, err := io.Copy(body, r.Body); err != nil || int64(body.Len()) != r.ContentLength {
		return "", localserver.ErrGone
	}
	if err := s.between(fault, r); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, place := s.locate(r.URL.Path)
	if v == nil || place < 1 || place > len(v.Parts) {
		return "", &storeError{status: http.StatusNotFound, code: "NoSuchUpload", message: "no such upload"}
	}
	if v.State != Open {
		return "", &lateError{
			error: &storeError{status: http.StatusNotFound, code: "NoSuchUpload", message: "the upload is " + string(v.State)},
			text:  fmt.Sprintf("%s of a part to a session that is %s", CallPut, v.State),
		}
	}
	digest := md5.Sum(body.Bytes())
	part := &v.Parts[place-1]
	part.Size = int64(body.Len())
	part.ETag = `"` + hex.EncodeToString(digest[:]) + `"`
	v.contents[place-1] = body.Bytes()
	return part.ETag, nil
}

// read returns a finished file to a download URL, and when it was finished.
func (s *Server) read(r *http.Request) ([]byte, time.Time, error) {
	if err := s.checkSigned(r); err != nil {
		return nil, time.Time{}, err
	}
	if v, place := s.find(r.URL.Path); v != nil && place == 0 {
		if content, ok := s.Content(v.FileID); ok {
			return content, v.finished, nil
		}
	}
	return nil, time.Time{}, &storeError{status: http.StatusNotFound, code: "NoSuchKey", message: "no such file"}
}

// find is locate without the lock held.
func (s *Server) find(path string) (*session, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locate(path)
}

// locate finds the session and the place that a path of partPath means; nil if there is none.
func (s *Server) locate(path string) (*session, int) {
	rest, _ := strings.CutPrefix(path, "/library/")
	fileID, _, _ := strings.Cut(rest, "/")
	place, err := strconv.Atoi(path[strings.LastIndex(path, "/")+1:])
	if v := s.session(fileID); v != nil && err == nil && path == partPath(v, place) {
		return v, place
	}
	return nil, 0
}

// sign returns a presigned URL; the lock is held.
func (s *Server) sign(method, path, part string) string {
	expires := strconv.FormatInt(s.Now().Add(s.opts.URLLife).Unix(), 10)
	query := url.Values{
		"expires":   {expires},
		"part":      {part},
		"signature": {s.signature(method, path, expires, part)},
	}
	return s.store + path + "?" + query.Encode()
}

func (s *Server) signature(method, path, expires, part string) string {
	h := hmac.New(sha256.New, s.secret)
	_, _ = fmt.Fprintf(h, "%s\n%s\n%s\n%s", method, path, expires, part)
	return hex.EncodeToString(h.Sum(nil))
}

// checkSigned refuses credentials other than the signature, then altered and expired URLs.
func (s *Server) checkSigned(r *http.Request) error {
	for _, name := range []string{"Authorization", "X-Bv-Org-Id", "Cookie"} {
		if r.Header.Get(name) != "" {
			s.mu.Lock()
			s.violate("the object store was sent the header %s", name)
			s.mu.Unlock()
			return &storeError{
				status: http.StatusBadRequest, code: "InvalidArgument",
				message: "only one way to authorize is allowed: " + name + " beside a signature",
			}
		}
	}
	q := r.URL.Query()
	given := q.Get("signature")
	wanted := s.signature(r.Method, r.URL.Path, q.Get("expires"), q.Get("part"))
	if !hmac.Equal([]byte(given), []byte(wanted)) {
		// Object stores repeat what was signed and the signature (assumed
		// here): a client must not show either.
		return &storeError{
			status: http.StatusForbidden, code: "SignatureDoesNotMatch",
			message: "The signature " + given + " does not match",
			extra:   "<SignatureProvided>" + xmlText(given) + "</SignatureProvided>",
		}
	}
	if expires, err := strconv.ParseInt(q.Get("expires"), 10, 64); err != nil || !s.Now().Before(time.Unix(expires, 0)) {
		return &storeError{
			status: http.StatusForbidden, code: "AccessDenied", message: "Request has expired",
			extra: "<SignatureProvided>" + xmlText(given) + "</SignatureProvided>",
		}
	}
	return nil
}

// xmlText escapes text for XML.
func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
