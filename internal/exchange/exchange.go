// Package exchange carries one HTTP exchange with a store, in the way that all backends need: the request
// body is a part's pages, which must not be touched once the call has returned; answers of unbounded size
// are cut; redirects are not followed; and what an error says carries no credentials.
package exchange

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// maxDrain is how much of an answer is read beyond what was asked for, so that its connection can be used
// again. A longer answer costs the connection.
const maxDrain = 64 << 10

// Do sends req and hands the answer to read, which need not close its body. It goes to the transport
// itself: a redirect is an answer like any other, and no cookie is kept. Bytes of the answer count as moved.
// Errors are cleaned by [Clean].
//
// When Do returns, the answer's body is drained (bounded) and closed.
func Do(rt http.RoundTripper, req *http.Request, a *retry.Attempt, read func(*http.Response) error) error {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return Clean(err)
	}
	a.Moved()
	body := resp.Body
	defer body.Close()
	resp.Body = &answerBody{ReadCloser: body, attempt: a}
	err = read(resp)
	// A failed drain costs the connection and changes nothing about the answer.
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	return Clean(err)
}

// Send is Do with the part as the request body, in an attempt of its own and with its length said. The Attempt
// is told once all of it is out. When Send returns the part's bytes are not touched any more.
//
// The transport may go on reading a request body after it returned an answer, because the server may answer
// early. So the answer is drained and closed first, which makes the transport give up the connection, and then
// the body is closed, which waits for a read in progress. The other way round would wait for a server that
// has stopped reading; not closing would be a data race on the pages.
func Send(rt http.RoundTripper, req *http.Request, p *sluice.Part, a *retry.Attempt, read func(*http.Response) error) error {
	body := p.Attempt()
	defer body.Close()
	req.ContentLength = p.Size
	if p.Size > 0 {
		req.Body = &partBody{Body: body, attempt: a, left: p.Size}
	} else {
		req.Body = http.NoBody // an empty body of another type would be sent chunked
		a.Sent()
	}
	return Do(rt, req, a, read)
}

// ReadAll reads the rest of an answer. One of more than limit bytes is an error.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("answer is longer than %d bytes: %w", limit, errTooLong)
	}
	return data, nil
}

// errTooLong means that an answer was cut.
var errTooLong = errors.New("answer cut")

// answerBody counts what comes in.
type answerBody struct {
	io.ReadCloser
	attempt *retry.Attempt
}

func (b *answerBody) Read(q []byte) (int, error) {
	n, err := b.ReadCloser.Read(q)
	if n > 0 {
		b.attempt.Moved()
	}
	return n, err
}

// partBody counts what goes out. It is read by one goroutine.
type partBody struct {
	*sluice.Body
	attempt *retry.Attempt
	left    int64
}

func (b *partBody) Read(q []byte) (int, error) {
	n, err := b.Body.Read(q)
	b.moved(int64(n))
	return n, err
}

func (b *partBody) WriteTo(w io.Writer) (int64, error) {
	return b.Body.WriteTo(&movingWriter{w, b})
}

func (b *partBody) moved(n int64) {
	b.attempt.Moved()
	if b.left -= n; b.left == 0 {
		b.attempt.Sent()
	}
}

// writeSize is how much a part writes at once: few system calls, and on a slow link still a sign of life often
// enough.
const writeSize = 256 << 10

// movingWriter writes in slices of writeSize and counts each, before the body's Close can return: who has closed it knows
// whether all of it is out.
type movingWriter struct {
	io.Writer
	body *partBody
}

func (w *movingWriter) Write(q []byte) (int, error) {
	written := 0
	for written < len(q) {
		slice := q[written:min(len(q), written+writeSize)]
		if int64(len(slice)) == w.body.left {
			w.body.attempt.Sending()
		}
		n, err := w.Writer.Write(slice)
		written += n
		w.body.moved(int64(n))
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
