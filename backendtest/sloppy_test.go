package backendtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// sloppy is a small store of its own that keeps the contract but for one
// defect, named for what it does. Without a defect it keeps all of it.
type sloppy struct {
	defect  string
	limits  sluice.Limits
	latency time.Duration
	release chan struct{} // closed when the test is over: a call that hangs returns then

	answers *Answers // to ReadRange
	withKey bool     // the handle in use has a key; not concurrently

	mu       sync.Mutex
	versions int // of files, so far
	calls    int
	last     int
	files    map[string]sloppyFile
	uploads  []*sloppyUpload
}

type sloppyFile struct {
	data  []byte
	spec  sluice.FileSpec
	id    string
	sizes []int64 // of the parts
	keyed bool
}

type sloppyUpload struct {
	store *sloppy
	id    string
	spec  sluice.FileSpec
	ctx   context.Context // of the start
	over  string          // "finished" or "cancelled"
	taken bool            // by a handle that resumed it
	parts map[int]sloppyPart
	busy  map[int]int // calls under way, by part
	info  sluice.LargeFileInfo
}

type sloppyPart struct {
	data []byte
	sums sluice.Digests
	seq  int
}

func (p sloppyPart) tag() string { return strconv.Itoa(p.seq) }

func newSloppy(defect string) *sloppy {
	s := &sloppy{defect: defect, release: make(chan struct{}), files: make(map[string]sloppyFile)}
	s.answers = &Answers{Next: s}
	s.limits = memorybackend.DefaultLimits()
	s.limits.MinPart, s.limits.MaxPart = 2000, 10_000
	s.limits.PartDigests = []sluice.Algorithm{{Name: "sha256", New: func() hash.Hash { return sloppyHash{sha256.New(), s} }}}
	s.limits.WholeDigests = s.limits.PartDigests
	switch defect { // some show only in a store that can do less, or more
	case "no ErrUnsupported", "no empty part":
		s.limits.MinParts, s.limits.MaxSingle = 0, 0
	case "needs two parts":
		s.limits.MinParts = 1
	case "unequal parts":
		s.limits.EqualParts = true
	case "ignores its plan":
		s.limits.MinParts, s.limits.MaxSingle, s.limits.MinPart, s.limits.ServerSizesParts = 0, 0, 0, true
	}
	return s
}

func (s *sloppy) is(defect string) bool { return s.defect == defect }

type sloppyHash struct {
	hash.Hash
	store *sloppy
}

func (s sloppyHash) WriteBatch(hashes []hash.Hash, data [][]byte) {
	for i, h := range hashes {
		if s.store.is("mixes lanes") && i > 3 {
			i = 3
		}
		_, _ = h.Write(data[i])
	}
}

func (s *sloppy) open(name string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(f.data)), nil
}

func (s *sloppy) stat(name string) (sluice.FileSpec, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[name].spec, nil
}

// ended is the error of a call whose context has ended. Defects: "hides the
// cause", and "hides the context's error".
func (s *sloppy) ended(ctx context.Context) error {
	switch {
	case s.is("hides the cause"):
		return ctx.Err()
	case s.is("hides the context's error"):
		return context.Cause(ctx)
	}
	return errors.Join(ctx.Err(), context.Cause(ctx))
}

// answer is the wait of every call. Defects: "dead ctx in <call>" works with a
// context that has ended; where the context ends meanwhile, "ignores ctx in
// <call>" hangs for ever, and "other error in <call>" says something else.
func (s *sloppy) answer(ctx context.Context, call string) error {
	if ctx.Err() != nil {
		if s.is("dead ctx in " + call) {
			return nil
		}
		return s.ended(ctx)
	}
	select {
	case <-time.After(s.latency):
		return nil
	case <-ctx.Done():
	}
	switch {
	case s.is("ignores ctx in " + call):
		<-s.release
	case s.is("other error in " + call):
		return errors.New("timed out")
	}
	return s.ended(ctx)
}

// take reads a part as a store does, or as a defect does.
func (s *sloppy) take(p *sluice.Part, defects ...string) ([]byte, sluice.Digests, error) {
	kept := &keeper{}
	body := p.Attempt()
	defer body.Close()
	if _, err := body.WriteTo(kept); err != nil {
		return nil, nil, err
	}
	if s.is("changes bytes") && len(kept.lent) > 0 {
		kept.lent[0] ^= 1
	}
	for _, d := range p.Digests {
		h := s.limits.PartDigests[0].New()
		h.Write(kept.data)
		if !bytes.Equal(h.Sum(nil), d.Sum) && !s.is(defects[1]) {
			return nil, nil, fmt.Errorf("wrong %s", d.Name)
		}
	}
	data, sums := kept.data, cloneDigests(p.Digests)
	if s.is(defects[0]) {
		data = kept.lent
	}
	if s.is(defects[0] + " digests") {
		sums = p.Digests
	}
	if s.is("changes digests") {
		p.Digests[0].Sum[0] ^= 1
	}
	return data, sums, nil
}

// keeper is a writer that copies what it is given, and keeps that too. What it
// is given are slices of one page.
type keeper struct{ data, lent []byte }

func (k *keeper) Write(p []byte) (int, error) {
	k.data = append(k.data, p...)
	if k.lent == nil {
		k.lent = p[:0]
	}
	k.lent = k.lent[:len(k.lent)+len(p)]
	return len(p), nil
}

func (s *sloppy) Limits() sluice.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits
	if s.calls++; s.is("limits change") {
		l.MaxParts += s.calls
	}
	return l
}

func (s *sloppy) Check(spec sluice.FileSpec) error {
	switch {
	case spec.Name == "" && !s.is("accepts no name"):
		return errors.New("no name")
	case spec.Size > s.limits.MaxFile && s.is("too large is plain"):
		return errors.New("too large")
	case spec.Size > s.limits.MaxFile && !s.is("any size"):
		return sluice.ErrTooLarge
	}
	return nil
}

func (s *sloppy) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if s.limits.MaxSingle == 0 && !s.is("no ErrUnsupported") {
		return sluice.File{}, errors.ErrUnsupported
	}
	alive := ctx.Err() == nil
	if err := s.answer(ctx, "UploadFile"); err != nil {
		if alive && s.is("stores though ctx ended") {
			s.put(spec, nil)
		}
		return sluice.File{}, err
	}
	if p.Size != spec.Size && !s.is("any single size") {
		return sluice.File{}, fmt.Errorf("%d bytes, not %d", p.Size, spec.Size)
	}
	data, sums, err := s.take(p, "keeps single", "no single digest check")
	if err != nil {
		return sluice.File{}, err
	}
	switch {
	case s.is("drops empty files") && p.Size == 0:
		return sluice.File{ID: "0", Name: spec.Name}, nil
	case s.is("doubles single bytes") && p.Size == 1:
		data = append(data, data...)
	case s.is("cuts off the last byte") && p.Size > 1 && p.Size%2 == 1:
		data = data[:len(data)-1]
	}
	if s.is("loses metadata") {
		spec.Metadata = nil
	}
	s.put(spec, data)
	return sluice.File{ID: s.newID(), Name: spec.Name, Size: p.Size, Digests: sums}, nil
}

func (s *sloppy) put(spec sluice.FileSpec, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish(spec, data, nil)
}

func (s *sloppy) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return "large-" + strconv.Itoa(s.last)
}

func (s *sloppy) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	u := &sloppyUpload{store: s, id: s.newID(), spec: spec, ctx: ctx, parts: make(map[int]sloppyPart), busy: make(map[int]int)}
	if s.is("same id by name") {
		u.id = spec.Name
	}
	u.info.ID = u.id
	if s.limits.ServerSizesParts {
		for left := spec.Size; left > 0; left -= 1000 {
			u.info.PartSizes = append(u.info.PartSizes, min(left, 1000))
		}
	}
	alive := ctx.Err() == nil
	if err := s.answer(ctx, "StartLargeFile"); err != nil {
		if alive && s.is("start leaves a large file") {
			s.add(u)
		}
		return nil, err
	}
	s.add(u)
	return u, nil
}

func (s *sloppy) add(u *sloppyUpload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = append(s.uploads, u)
}

func (u *sloppyUpload) Info() sluice.LargeFileInfo {
	if u.store.is("info changes") {
		u.info.Stored = append(u.info.Stored, sluice.Receipt{})
	}
	return u.info
}

func (u *sloppyUpload) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	s := u.store
	if s.is("keeps ctx of start") && u.ctx.Err() != nil {
		return sluice.Receipt{}, u.ctx.Err()
	}
	s.mu.Lock()
	clash := len(u.busy) > 0 && s.is("one part at a time")
	u.busy[p.Number]++
	s.mu.Unlock()
	err := s.answer(ctx, "UploadPart")
	s.mu.Lock()
	if u.busy[p.Number]--; u.busy[p.Number] == 0 {
		delete(u.busy, p.Number)
	}
	s.mu.Unlock()
	if err != nil {
		return sluice.Receipt{}, err
	}
	data, sums, err := s.take(p, "keeps part", "no part digest check")
	switch {
	case err != nil:
		return sluice.Receipt{}, err
	case clash, p.Size == 0 && s.is("no empty part"):
		return sluice.Receipt{}, errors.New("not now, or not this one")
	case u.info.PartSizes != nil && p.Number > len(u.info.PartSizes):
		return sluice.Receipt{}, errors.New("not in the plan")
	case (p.Number < 1 || p.Number > s.limits.MaxParts) && !s.is("any part number"):
		return sluice.Receipt{}, errors.New("bad number")
	case p.Size > s.limits.MaxPart && !s.is("large parts"):
		return sluice.Receipt{}, errors.New("too large")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.over == "cancelled" && !s.is("parts after cancel") || u.over == "finished" && !s.is("parts after finish") {
		return sluice.Receipt{}, errors.New("no longer unfinished")
	}
	if s.is("visible before finish") {
		s.publish(u.spec, data, nil)
	}
	s.last++
	part := sloppyPart{data, sums, s.last}
	before, again := u.parts[p.Number]
	if again && bytes.Equal(before.data, data) {
		part.seq = before.seq
	}
	if !again || !s.is("first part wins") {
		u.parts[p.Number] = part
	}
	r := sluice.Receipt{Number: p.Number, Size: p.Size, Digests: sums, ETag: part.tag()}
	if s.is("wrong size in receipt") {
		r.Size++
	}
	return r, nil
}
