package bvtest

import (
	"crypto/sha1"
	"maps"
	"slices"
	"time"
)

// State is what became of an upload session.
type State string

// The states of a session.
const (
	Open      State = "open"
	Completed State = "completed"
	Cancelled State = "cancelled"
)

// Session is an upload session as it stands.
type Session struct {
	FileID   string // in the library
	UploadID string
	Name     string
	Type     string
	Source   string
	Size     int64 // bytes, as declared
	Attrs    map[string]string
	State    State
	Opened   time.Time
	Parts    []StoredPart // as planned; a part that has not arrived has no ETag
}

// StoredPart is a part of a session.
type StoredPart struct {
	Number int   // as the server numbers it
	Size   int64 // bytes
	ETag   string
}

// session is an upload session; the server's lock guards it.
type session struct {
	Session
	contents [][]byte // of the parts as planned, nil until they arrive
	finished time.Time

	// the client may not know that the session exists: the answer went wrong on
	// purpose
	unheard   bool
	uncertain bool // the client may not know that the session was completed, likewise
}

// Sessions lists every session there ever was, oldest first.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.sessions))
	for _, v := range s.sessions {
		view := v.Session
		view.Attrs = maps.Clone(v.Attrs)
		view.Parts = slices.Clone(v.Parts)
		list = append(list, view)
	}
	return list
}

// Content is the bytes of a completed file; false if there is none of that id.
func (s *Server) Content(fileID string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.session(fileID)
	if v == nil || v.State != Completed {
		return nil, false
	}
	content := make([]byte, 0, v.Size)
	for _, part := range v.contents {
		content = append(content, part...)
	}
	return content, true
}

// session finds a session by its file's id; the lock is held.
func (s *Server) session(fileID string) *session {
	for _, v := range s.sessions {
		if v.FileID == fileID {
			return v
		}
	}
	return nil
}

// sum is the SHA-1 of the parts in order.
func (v *session) sum() []byte {
	h := sha1.New()
	for _, part := range v.contents {
		_, _ = h.Write(part)
	}
	return h.Sum(nil)
}
