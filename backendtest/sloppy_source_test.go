package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
)

// publish makes a file visible. It is called with the lock held.
func (s *sloppy) publish(spec sluice.FileSpec, data []byte, sizes []int64) {
	s.versions++
	spec.Metadata = maps.Clone(spec.Metadata)
	s.files[spec.Name] = sloppyFile{data, spec, "file-" + strconv.Itoa(s.versions), sizes, s.withKey}
}

// sizes are those of the first n parts.
func (u *sloppyUpload) sizes(n int) []int64 {
	var list []int64
	for i := range n {
		list = append(list, int64(len(u.parts[i+1].data)))
	}
	return list
}

// keyHandle is a handle that uploads and reads with a customer's key.
type keyHandle struct{ *sloppy }

func (k keyHandle) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	k.withKey = true
	defer func() { k.withKey = false }()
	return k.sloppy.UploadFile(ctx, spec, p)
}

func (k keyHandle) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	k.withKey = true
	defer func() { k.withKey = false }()
	return k.sloppy.ReadRange(ctx, f, r)
}

func (s *sloppy) file(name string) (sloppyFile, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[name]
	return f, ok
}

func (s *sloppy) describe(f sloppyFile) sluice.StoredFile {
	d := sluice.StoredFile{
		File:        sluice.File{ID: f.id, Name: f.spec.Name, Size: int64(len(f.data)), Digests: sums(f.data, s.limits.PartDigests)},
		ContentType: f.spec.ContentType, Metadata: maps.Clone(f.spec.Metadata), Algorithms: s.limits.PartDigests,
	}
	rest := f.data
	for i, size := range f.sizes {
		d.Receipts = append(d.Receipts, sluice.Receipt{Number: i + 1, Size: size, Digests: sums(rest[:size], s.limits.PartDigests)})
		rest = rest[size:]
	}
	return d
}

func (s *sloppy) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	if err := s.answer(ctx, "Stat"); err != nil {
		return sluice.StoredFile{}, err
	}
	f, ok := s.file(name)
	if !ok {
		if s.is("no file is plain") {
			return sluice.StoredFile{}, errors.New("none")
		}
		return sluice.StoredFile{}, fs.ErrNotExist
	}
	d := s.describe(f)
	switch {
	case s.is("stat without id"):
		d.ID = ""
	case s.is("stat loses metadata"):
		d.Metadata = nil
	case s.is("lies of digests"):
		d.Digests = spoiled(d.Digests)
	case s.is("lies of parts") && len(d.Receipts) > 1:
		d.Receipts = d.Receipts[1:]
	}
	return d, nil
}

func (s *sloppy) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if err := s.answer(ctx, "ReadRange"); err != nil {
		return err
	}
	var failed error
	for range 4 {
		offset, size := r.Attempt()
		if size == 0 {
			return nil
		}
		if s.is("starts over") {
			offset, size = r.Offset, r.Size
		}
		again, err := s.get(ctx, f, r, offset, size)
		if err == nil {
			return nil
		}
		if failed = err; !again {
			break
		}
	}
	return failed
}

// get makes one attempt, and reports whether another one is worth it.
func (s *sloppy) get(ctx context.Context, f sluice.StoredFile, r *sluice.Range, offset, size int64) (again bool, err error) {
	req := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: f.Name}, Header: http.Header{}}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+size-1))
	req.Header.Set("If-Match", f.ID)
	resp, err := s.answers.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPreconditionFailed:
		if s.is("replaced is plain") {
			return false, errors.New("another version")
		}
		return false, sluice.ErrReplaced
	case http.StatusNotFound:
		return false, fs.ErrNotExist
	case http.StatusPartialContent:
	default:
		if resp.StatusCode != http.StatusOK || !s.is("takes the whole file for a range") {
			return false, errors.New(resp.Status)
		}
	}
	want := fmt.Sprintf("bytes %d-%d/%d", offset, offset+size-1, f.Size)
	switch got := resp.Header.Get("Content-Range"); {
	case got != want && !s.is("takes any range") && resp.StatusCode != http.StatusOK:
		return false, errors.New("another range")
	case resp.ContentLength < 0 && !s.is("takes no length"):
		return false, errors.New("no length")
	case resp.ContentLength >= 0 && resp.ContentLength != size && !s.is("takes any length"):
		return false, errors.New("another length")
	}
	n, err := r.ReadFrom(resp.Body)
	if err == nil && n < size && !s.is("takes a short answer") {
		err = io.ErrUnexpectedEOF
	}
	return !s.is("resumes nothing"), err
}

// RoundTrip is the server of ReadRange.
func (s *sloppy) RoundTrip(req *http.Request) (*http.Response, error) {
	f, ok := s.file(req.URL.Path)
	answer := func(status int, data []byte) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)),
		}, nil
	}
	var from, to int
	_, err := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-%d", &from, &to)
	switch {
	case !ok:
		return answer(http.StatusNotFound, nil)
	case f.id != req.Header.Get("If-Match") && !s.is("reads what is newest"):
		return answer(http.StatusPreconditionFailed, nil)
	case f.keyed && !s.withKey && !s.is("needs no key"):
		return answer(http.StatusForbidden, nil)
	case err != nil || to >= len(f.data) && !s.is("pads beyond the end"):
		return answer(http.StatusRequestedRangeNotSatisfiable, nil)
	}
	if to >= len(f.data) {
		f.data = append(f.data[:len(f.data):len(f.data)], make([]byte, to+1-len(f.data))...)
	}
	if s.is("range off by one") && from > 0 {
		from, to = from-1, to-1
	}
	resp, _ := answer(http.StatusPartialContent, f.data[from:to+1])
	if s.is("range off by one") && req.Header.Get("Range") != fmt.Sprintf("bytes=%d-%d", from, to) {
		from, to = from+1, to+1
	}
	size := len(f.data)
	if s.is("pads beyond the end") {
		size = max(0, int(s.sizeOf(req.URL.Path)))
	}
	resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
	return resp, nil
}

func (s *sloppy) sizeOf(name string) int64 {
	f, _ := s.file(name)
	return int64(len(f.data))
}

func (s *sloppy) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		if err := s.answer(ctx, "List"); err != nil {
			yield(sluice.StoredFile{}, err)
			return
		}
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.files))
		if s.is("lists unfinished files") {
			for _, u := range s.uploads {
				names = append(names, u.spec.Name)
			}
		}
		s.mu.Unlock()
		if s.is("lists files backwards") {
			slices.Reverse(names)
		}
		for _, name := range names {
			if f, _ := s.file(name); strings.HasPrefix(name, prefix) || s.is("lists any name") {
				if !yield(s.describe(f), nil) && !s.is("list ignores break") {
					return
				}
			}
		}
	}
}

func (s *sloppy) Remove(ctx context.Context, f sluice.StoredFile) error {
	if err := s.answer(ctx, "Remove"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch is, ok := s.files[f.Name]; {
	case !ok:
		return fs.ErrNotExist
	case is.id != f.ID && !s.is("removes by name"):
		return sluice.ErrReplaced
	}
	if !s.is("removes nothing") {
		delete(s.files, f.Name)
	}
	return nil
}
