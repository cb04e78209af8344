package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/c1508ce4/sluice"
)

// Answers is the transport of a backend whose answers the kit makes wrong. The
// answers that it changes are those to requests for a range.
type Answers struct {
	Next http.RoundTripper // the transport to the server

	mu     sync.Mutex
	change func(*http.Request, *http.Response) error // nil: none
	times  int                                       // how many answers are still to be changed
}

// RoundTrip passes requests on.
func (a *Answers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.Next.RoundTrip(req)
	if err != nil || req.Header.Get("Range") == "" || resp.StatusCode >= 300 {
		return resp, err
	}
	a.mu.Lock()
	change := a.change
	if a.times--; a.times < 0 {
		change = nil
	}
	a.mu.Unlock()
	if change != nil {
		err = change(req, resp)
	}
	return resp, err
}

// set has the next answers changed.
func (a *Answers) set(times int, change func(*http.Request, *http.Response) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change, a.times = change, times
}

// answerRules are about answers that are not what was asked for.
func answerRules() []rule {
	always := 1 << 30
	rules := []rule{
		{
			name: "answer-cut",
			text: "ReadRange whose answer breaks off is resumed, and brings the right bytes.",
			check: func(b *bench) error {
				if err := checkAnswer(b, 2, cutAnswer(io.ErrUnexpectedEOF)); err != nil {
					return fmt.Errorf("the connection broke: %w", err)
				}
				return nil
			},
		},
		{
			name:  "answer-short",
			text:  "ReadRange whose answer ends before its declared length is resumed, and brings the right bytes.",
			check: func(b *bench) error { return checkAnswer(b, 2, cutAnswer(io.EOF)) },
		},
		{
			name:  "answer-whole",
			text:  "ReadRange whose answer is the whole file fails.",
			check: func(b *bench) error { return checkAnswer(b, always, ignoreRange) },
		},
		{
			name: "answer-other",
			text: "ReadRange whose answer is another range fails.",
			check: func(b *bench) error {
				return checkAnswer(b, always, func(_ *http.Request, resp *http.Response) error {
					resp.Header.Set("Content-Range", fmt.Sprintf("bytes 1-%d/999999", resp.ContentLength))
					return nil
				})
			},
		},
		{
			name: "answer-length",
			text: "ReadRange whose answer declares another length fails.",
			check: func(b *bench) error {
				return checkAnswer(b, always, func(_ *http.Request, resp *http.Response) error {
					resp.Body = body{io.MultiReader(resp.Body, bytes.NewReader(make([]byte, 10))), resp.Body}
					resp.ContentLength += 10
					return nil
				})
			},
		},
		{
			name: "answer-no-length",
			text: "ReadRange whose answer declares no length fails.",
			check: func(b *bench) error {
				return checkAnswer(b, always, func(_ *http.Request, resp *http.Response) error {
					resp.ContentLength = -1
					resp.Header.Del("Content-Length")
					return nil
				})
			},
		},
	}
	for i := range rules {
		rules[i].needs = []need{source, answers}
	}
	return rules
}

func answers(s Store) string {
	if s.Answers == nil {
		return "Store.Answers is nil: the kit cannot change answers"
	}
	return ""
}

// body reads from one thing and closes another.
type body struct {
	io.Reader
	io.Closer
}

// cutAnswer ends an answer with err after half of its bytes.
func cutAnswer(err error) func(*http.Request, *http.Response) error {
	return func(_ *http.Request, resp *http.Response) error {
		resp.Body = body{io.MultiReader(io.LimitReader(resp.Body, resp.ContentLength/2), failingReader{err}), resp.Body}
		return nil
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// ignoreRange answers with bytes from the beginning of the file.
func ignoreRange(_ *http.Request, resp *http.Response) error {
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header.Del("Content-Range")
	return nil
}

// checkAnswer reads a range whose first answers are changed. It may fail only if
// all of them are; what it brings is right.
func checkAnswer(b *bench, times int, change func(*http.Request, *http.Response) error) error {
	data, f, err := b.put(b.name, -1)
	if err != nil {
		return err
	}
	want := data[5 : len(data)-7]
	changed := 0
	b.Answers.set(times, func(req *http.Request, resp *http.Response) error {
		changed++
		return change(req, resp)
	})
	defer b.Answers.set(0, nil)
	r := sluice.NewRange(5, int64(len(want)))
	err = b.source().ReadRange(b.ctx, f, r)
	switch {
	case changed == 0:
		return errors.New("no request had a Range header: the kit could change no answer")
	case !bytes.Equal(r.Bytes(), want[:len(r.Bytes())]):
		return fmt.Errorf("ReadRange brought other bytes: %s", difference(r.Bytes(), want[:len(r.Bytes())]))
	case err == nil && r.Missing() > 0:
		return fmt.Errorf("ReadRange returned nil, and %d bytes are missing", r.Missing())
	case err == nil && times > 2:
		return errors.New("ReadRange took it for the range asked for")
	case err != nil && times == 2:
		return fmt.Errorf("ReadRange: %w", err)
	}
	return nil
}
