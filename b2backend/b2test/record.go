package b2test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// maxRequests is how many requests the log keeps at least; the oldest go first.
const maxRequests = 50_000

// Request is what the log says of a request. It holds no credential.
type Request struct {
	Time    time.Time // of arrival, by the server's clock
	Host    string    // authorize, api, upload or download: the listener it came to
	Method  string
	Path    string // without the query
	Version int    // of the API, 0 if the path has none that is known
	Call    string // b2_upload_part, for example; empty if the path names none
	FileID  string // as far as the request, or its upload URL, names one
	Name    string // likewise the file name
	Part    int    // part number of an upload_part
	Bytes   int64  // declared length of the body
	Status  int    // of the answer, 0 if the connection was dropped
	Code    string // of an error answer
	Fault   FaultKind
}

// record files the entry of an exchange that ends. The lock is held.
func (s *Server) record(r Request) {
	l := &s.ledger
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[r.Call]++
	if len(l.requests) >= 2*maxRequests {
		l.requests = append(l.requests[:0], l.requests[maxRequests:]...)
	}
	l.requests = append(l.requests, r)
}

// Requests are the requests that have ended, in the order in which they ended;
// of very many, the last ones.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger.requests)
}

// Count is how many requests for a call have ended, whatever the answer.
func (s *Server) Count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.counts[call]
}

// File is a stored version, or an unfinished large file.
type File struct {
	ID          string
	Name        string
	Bucket      string
	Action      string // upload, hide, or start for an unfinished large file
	ContentType string
	Info        map[string]string
	Size        int64  // bytes; of an unfinished large file those of its parts
	SHA1        string // as the service answers it, none for a large file
	Uploaded    time.Time
	Parts       []int // the numbers stored so far of an unfinished large file

	content   content
	discarded bool
}

// Reader reads the content from the beginning, from a server that keeps it;
// each call gives a new one.
func (f *File) Reader() io.Reader {
	if f.discarded && f.Size > 0 {
		return failingReader{}
	}
	readers := make([]io.Reader, len(f.content))
	for i, piece := range f.content {
		readers[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(readers...)
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) {
	return 0, errors.New("b2test: this server discards content")
}

// export copies f for a caller. The lock is held.
func (s *Server) export(f *file) *File {
	out := &File{
		ID: f.id, Name: f.name, Bucket: f.bucket.Name, Action: f.action, ContentType: f.contentType,
		Info: maps.Clone(f.info), Size: f.length, SHA1: f.sha1, Uploaded: time.UnixMilli(f.timestamp),
		content: f.content, discarded: s.opts.Discard,
	}
	for _, number := range slices.Sorted(maps.Keys(f.parts)) {
		p := f.parts[number]
		out.Parts = append(out.Parts, number)
		out.Size += p.length
		out.content = append(slices.Clip(out.content), p.content...)
	}
	return out
}

// File is the newest finished version of a name. The error says that the bucket
// or the name is not there, or hidden.
func (s *Server) File(bucket, name string) (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucketByName(bucket)
	if b == nil {
		return nil, fmt.Errorf("b2test: no bucket %q", bucket)
	}
	f := s.newest(b, name)
	if f == nil || f.action == actionHide {
		return nil, fmt.Errorf("b2test: no file %q in bucket %q", name, bucket)
	}
	return s.export(f), nil
}

// Files are all versions in a bucket, by name and newest first, hide markers
// included, unfinished large files not.
func (s *Server) Files(bucket string) []*File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*File
	if b := s.bucketByName(bucket); b != nil {
		for _, f := range s.versions(b) {
			if f.action != actionStart {
				files = append(files, s.export(f))
			}
		}
	}
	return files
}

// Unfinished are the unfinished large files of all buckets, within a bucket the oldest first.
func (s *Server) Unfinished() []*File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*File
	for _, f := range s.allUnfinished() {
		files = append(files, s.export(f))
	}
	return files
}
