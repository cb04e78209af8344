package sluice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync/atomic"
	"time"
)

// Range is a run of bytes of a stored file, with memory that is lent to a
// [Source] for the duration of one call. The source writes the bytes into it in
// order, by Write or ReadFrom. One goroutine uses it.
type Range struct {
	Offset int64 // of its first byte in the file
	Size   int64 // bytes
	// Fresh asks for a connection that was not used before, because what came
	// over the last one was damaged.
	Fresh bool

	part     Part     // what the queue knows of it
	pages    [][]byte // of the Pool: each is taken when its first byte comes
	pageSize int64
	pool     *Pool     // that the pages are granted by; nil if they are the reader's own
	whole    bool      // it is made of whole parts, whose digests are verified before delivery
	held     bool      // nothing is delivered before all of it is fetched
	onDisk   bool      // the bytes are those that a partial file has
	began    time.Time // the attempt of which no byte has come; zero if there is none
	filled   int64
	visible  atomic.Int64  // bytes that may be delivered
	news     chan struct{} // capacity 1: has a token when visible has risen
}

var (
	_ io.Writer     = (*Range)(nil)
	_ io.ReaderFrom = (*Range)(nil)
)

var errRangeFull = errors.New("sluice: more bytes than the range has")

func newRange(number int, offset, size, pageSize int64, pages [][]byte) *Range {
	r := &Range{Offset: offset, Size: size, pages: pages, pageSize: pageSize, news: make(chan struct{}, 1)}
	r.part = Part{Number: number, Offset: offset, Size: size, resumes: true}
	return r
}

// NewRange returns a range outside any reader, for testing sources.
func NewRange(offset, size int64) *Range {
	return newRange(1, offset, size, max(size, 1), [][]byte{make([]byte, size)})
}

// Bytes returns what has been written into a range made by [NewRange].
func (r *Range) Bytes() []byte { return r.pages[0][:r.filled] }

// Attempt begins an attempt, and returns which bytes are missing: those of the
// file from offset on.
func (r *Range) Attempt() (offset, size int64) {
	r.part.tried.begin()
	r.began = time.Now()
	return r.Offset + r.filled, r.Size - r.filled
}

// Missing returns how many bytes have not been written yet.
func (r *Range) Missing() int64 { return r.Size - r.filled }

// Backoff reports that an attempt failed with err, and waits until the next one
// may begin; see [Part.Backoff].
func (r *Range) Backoff(ctx context.Context, err error, wait time.Duration) error {
	return r.part.Backoff(ctx, err, wait)
}

// Write appends p. More bytes than the range has are an error.
func (r *Range) Write(p []byte) (int, error) {
	var total int
	for len(p) > 0 {
		room := r.room()
		if len(room) == 0 {
			return total, errRangeFull
		}
		n := copy(room, p)
		r.add(n)
		total += n
		p = p[n:]
	}
	return total, nil
}

// ReadFrom appends what src yields until the range is full or src ends. Bytes
// that are read can be delivered at once.
func (r *Range) ReadFrom(src io.Reader) (int64, error) {
	var total int64
	for idle := 0; r.filled < r.Size; {
		room := r.room()
		n, err := src.Read(room)
		if n < 0 || n > len(room) {
			return total, fmt.Errorf("source returned %d bytes from a Read of %d", n, len(room))
		}
		r.add(n)
		total += int64(n)
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		case n > 0:
			idle = 0
		default:
			if idle++; idle == maxIdleReads {
				return total, io.ErrNoProgress
			}
		}
	}
	return total, nil
}

func (r *Range) room() []byte {
	if r.filled == r.Size {
		return nil
	}
	if page := &r.pages[r.filled/r.pageSize]; *page == nil {
		*page = r.pool.memory()
	}
	return r.memory(r.filled, r.Size)
}

// memory returns the bytes from the offset in the range on, up to the end of
// their page, at most up to the offset end.
func (r *Range) memory(offset, end int64) []byte {
	page, in := r.pages[offset/r.pageSize], offset%r.pageSize
	return page[in:min(r.pageSize, in+end-offset)]
}

// add counts n bytes written. The last ones are not delivered before the call
// that brings them has succeeded.
func (r *Range) add(n int) {
	if n == 0 {
		return
	}
	if !r.began.IsZero() && r.part.queue != nil {
		r.part.queue.arrived(time.Since(r.began))
	}
	r.began = time.Time{}
	r.filled += int64(n)
	r.part.count(n, r.filled)
	if !r.held && r.filled < r.Size {
		r.show(r.filled)
	}
}

func (r *Range) show(n int64) {
	r.visible.Store(n)
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *Range) extent() extent { return extent{r.Offset, r.Size} }

// writeAt writes the bytes to where they are in the file.
func (r *Range) writeAt(w io.WriterAt) error {
	for offset := int64(0); offset < r.Size; {
		b := r.memory(offset, r.Size)
		n, err := w.WriteAt(b, r.Offset+offset)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
		offset += int64(len(b))
	}
	return nil
}

// restart forgets the bytes, none of which has been delivered, so that they are
// read again over another connection.
func (r *Range) restart() {
	r.filled, r.Fresh = 0, true
}

// partList is where the parts of a stored file end, and how they are verified.
// One without parts is a file whose parts are not known.
type partList struct {
	receipts   []Receipt
	ends       []int64 // ends[i] is the offset after part i+1
	algorithms []Algorithm
	damaged    error // what a digest that differs means
}

func newPartList(f *StoredFile) (*partList, error) {
	l := &partList{algorithms: f.Algorithms, damaged: ErrDamaged}
	if f.Size < 0 {
		return nil, fmt.Errorf("the store returned the size %d", f.Size)
	}
	if len(f.Receipts) == 0 {
		return l, nil
	}
	var end int64
	for i := range f.Receipts {
		if f.Receipts[i].Size < 0 || f.Receipts[i].Size > f.Size-end {
			return nil, fmt.Errorf("the store returned parts that do not add up to the %d bytes of the file", f.Size)
		}
		end += f.Receipts[i].Size
		l.ends = append(l.ends, end)
	}
	if end != f.Size {
		return nil, fmt.Errorf("the store returned parts of %d bytes in all, the file has %d", end, f.Size)
	}
	l.receipts = f.Receipts
	return l, nil
}

// at returns the index of the part that holds the byte at offset, and its first
// byte's offset.
func (l *partList) at(offset int64) (i int, start int64) {
	i = sort.Search(len(l.ends), func(i int) bool { return l.ends[i] > offset })
	return i, l.ends[i] - l.receipts[i].Size
}

// cut returns the size of the range at offset: whole parts, of about usual
// bytes together, or one of at most most bytes. Otherwise it is within a part,
// and whole is false.
func (l *partList) cut(offset, size, usual, most int64) (n int64, whole bool) {
	if l.receipts == nil {
		return min(usual, size-offset), false
	}
	i, start := l.at(offset)
	if offset > start || l.receipts[i].Size > most {
		return min(usual, l.ends[i]-offset), false
	}
	n = l.receipts[i].Size
	for i++; i < len(l.ends) && n+l.receipts[i].Size <= usual; i++ {
		n += l.receipts[i].Size
	}
	return n, true
}

// verify compares the parts in r with their digests, if r is made of whole
// parts.
func (l *partList) verify(r *Range) error {
	if !r.whole || l.receipts == nil {
		return nil
	}
	i, start := l.at(r.Offset)
	for end := r.Offset; start == end && end < r.Offset+r.Size && l.ends[i] <= r.Offset+r.Size; i++ {
		part := &l.receipts[i]
		end = start + part.Size
		hs := hashersFor(part.Digests, l.algorithms)
		for start < end {
			b := r.memory(start-r.Offset, end-r.Offset)
			hs.add(b)
			start += int64(len(b))
		}
		if err := hs.compare(part.Digests); err != nil {
			return fmt.Errorf("%w: part %d of %d: %w", l.damaged, i+1, len(l.receipts), err)
		}
	}
	return nil
}

func hashersFor(ds Digests, algorithms []Algorithm) hashers {
	return newHashers(slices.DeleteFunc(slices.Clone(algorithms), func(a Algorithm) bool { return ds.Get(a.Name) == nil }))
}

func (hs hashers) add(b []byte) {
	for i := range hs {
		_, _ = hs[i].Write(b) // a hash never fails
	}
}

// compare returns how the bytes that were added are not those of want.
func (hs hashers) compare(want Digests) error {
	for i := range hs {
		got, stored := hs[i].Sum(nil), want.Get(hs[i].Name)
		if stored != nil && !bytes.Equal(got, stored) {
			return fmt.Errorf("the bytes that came have the %s %x, those stored have %x", hs[i].Name, got, stored)
		}
	}
	return nil
}

// runningSums are the digests of what is delivered in order: of the whole file,
// and of a part that is too large to be verified before.
type runningSums struct {
	list  *partList
	file  hashers
	asked []Algorithm
	part  hashers
}

func newRunningSums(f *StoredFile, l *partList, asked []Algorithm) runningSums {
	return runningSums{list: l, asked: asked, file: newHashers(asked, hashersFor(f.Digests, f.Algorithms).algorithms())}
}

// add adds b, the next bytes, which begin at offset. verified says that their
// parts were.
func (s *runningSums) add(b []byte, offset int64, verified bool) error {
	s.file.add(b)
	if verified || s.list.receipts == nil {
		return nil
	}
	i, start := s.list.at(offset)
	part := &s.list.receipts[i]
	if offset == start {
		s.part = hashersFor(part.Digests, s.list.algorithms)
	}
	s.part.add(b)
	if offset+int64(len(b)) < s.list.ends[i] {
		return nil
	}
	if err := s.part.compare(part.Digests); err != nil {
		return fmt.Errorf("%w: part %d of %d: %w", s.list.damaged, i+1, len(s.list.receipts), err)
	}
	return nil
}

// whole compares the digests of the file, and adds those that were asked for.
func (s *runningSums) whole(f *StoredFile) error {
	if err := s.file.compare(f.Digests); err != nil {
		return fmt.Errorf("%w: %w", s.list.damaged, err)
	}
	f.Digests = merge(slices.Clone(f.Digests), s.file.sums(), newHashers(s.asked))
	return nil
}
