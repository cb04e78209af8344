package lab

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// pageSize is that of the page a [Source] repeats.
const pageSize = 1 << 20

// NewPage returns a page of bytes that do not compress.
func NewPage() []byte {
	page := make([]byte, pageSize)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range page {
		page[i] = byte(rng.Uint32())
	}
	return page
}

// Source yields a page over and over, and notes when its last byte is out.
type Source struct {
	page       []byte
	left, done int64 // bytes to come, bytes out
	rate       int64 // bytes per second, 0 for no limit
	from       time.Time
	last       time.Time
	half       func() // nil once called
	halfLeft   int64  // bytes left at which it is called
}

// NewSource returns a source of size bytes of a page, at most rate bytes per
// second unless that is 0. half, if not nil, is called once half of the bytes
// are out. Sources may share a page.
func NewSource(page []byte, size, rate int64, half func()) *Source {
	return &Source{page: page, left: size, rate: rate, half: half, halfLeft: size / 2}
}

// Last is when the last byte was given out.
func (s *Source) Last() time.Time { return s.last }

// Read copies from the page, as far as it goes.
func (s *Source) Read(p []byte) (int, error) {
	q, err := s.next(len(p))
	return copy(p, q), err
}

// Pieces calls write with slices of the page of at most n bytes.
func (s *Source) Pieces(n int, write func([]byte) (int, error)) error {
	for {
		q, err := s.next(n)
		if err == io.EOF {
			return nil
		}
		if _, err := write(q); err != nil {
			return err
		}
	}
}

// next lends the next bytes, n at most.
func (s *Source) next(n int) ([]byte, error) {
	if s.left == 0 {
		return nil, io.EOF
	}
	at := int(s.done % pageSize)
	q := s.page[at:min(pageSize, at+n)]
	q = q[:min(int64(len(q)), s.left)]
	s.pace()
	s.left -= int64(len(q))
	s.done += int64(len(q))
	if s.half != nil && s.left <= s.halfLeft {
		s.half()
		s.half = nil
	}
	if s.left == 0 {
		s.last = time.Now()
	}
	return q, nil
}

// pace waits until the bytes so far may be out.
func (s *Source) pace() {
	if s.rate == 0 {
		return
	}
	if s.from.IsZero() {
		s.from = time.Now()
	}
	due := time.Duration(float64(s.done) / float64(s.rate) * float64(time.Second))
	time.Sleep(due - time.Since(s.from))
}

// PlaySource is the role of the process behind a pipe: it writes as many bytes
// as the spec says to stdout, as fast as they are read.
func PlaySource(_ context.Context, spec json.RawMessage) (any, error) {
	var size int64
	if err := json.Unmarshal(spec, &size); err != nil {
		return nil, err
	}
	return nil, NewSource(NewPage(), size, 0, nil).Pieces(pageSize, os.Stdout.Write)
}
