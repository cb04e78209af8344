// Package httpx carries one HTTP exchange with a store, in the way that all
// backends need: the request body is a part's pages, which must not be touched
// once the call has returned; answers of unbounded size are cut; redirects are
// not followed; and what an error says carries no credentials.
package httpx

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// maxDrain is how much of an answer is read beyond what was asked for, so that
// its connection can be used again. A longer answer costs the connection.
const maxDrain = 64 << 10

// RoundTrip sends req and returns the answer. It goes to the transport itself:
// a redirect is an answer like any other, and no cookie is kept. The error of a
// request for which there was no connection matches [NeverSent]: that is known
// of transports that call the hooks of package httptrace, as http.Transport
// does.
func RoundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, error) {
	// A transport that asks for a second connection has written nothing to the first.
	var connecting atomic.Bool
	resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { connecting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connecting.Store(false) },
	})))
	if err != nil && connecting.Load() {
		err = Unsent(err)
	}
	return resp, err
}

// Call carries out the requests of one call, and makes its errors.
type Call struct {
	Name    string   // in errors
	Secrets []string // cut from errors
	// Refused returns the error that an answer is, nil if that is a success.
	Refused func(*http.Response) error
}

// Send is [RoundTrip] with the part, unless that is nil, as the request body, in an
// attempt of its own and with its length said. The Attempt is told once all of it
// is out. read gets a successful answer and need not close its body, whose bytes
// count as moved. When Send returns, the answer's body is drained (bounded) and
// closed, and the part's bytes are not touched any more.
//
// The error is that of Refused; an [*AnswerError] if read failed of an answer that
// came whole, because it is not usable then; otherwise a [*TransportError].
//
// The transport may go on reading a request body after it returned an answer,
// because the server may answer early. So the answer is drained and closed first,
// which makes the transport give up the connection, and then the body is closed,
// which waits for a read in progress. The other way round would wait for a server
// that has stopped reading; not closing would be a data race on the pages.
func (c Call) Send(rt http.RoundTripper, req *http.Request, p *sluice.Part, a *retry.Attempt, read func(*http.Response) error) error {
	if p != nil {
		body := p.Attempt()
		defer body.Close()
		req.ContentLength = p.Size
		if p.Size > 0 {
			req.Body = &partBody{Body: body, attempt: a, left: p.Size}
		} else {
			req.Body = http.NoBody // an empty body of another type would be sent chunked
			a.Sent()
		}
	}
	resp, err := RoundTrip(rt, req)
	if err != nil {
		return c.broken(err)
	}
	a.Moved()
	answer := resp.Body
	defer answer.Close()
	resp.Body = &answerBody{ReadCloser: answer, attempt: a}
	// A failed drain costs the connection and changes nothing about the answer.
	defer func() { _, _ = io.CopyN(io.Discard, resp.Body, maxDrain) }()
	if err := c.Refused(resp); err != nil {
		return err
	}
	err = read(resp)
	switch {
	case err == nil:
		return nil
	case Broke(resp) == nil:
		return &AnswerError{Call: c.Name, Detail: Present(err.Error(), c.Secrets...)}
	default:
		return c.broken(err)
	}
}

func (c Call) broken(err error) error {
	return &TransportError{Call: c.Name, Err: Clean(err, c.Secrets...)}
}

// Broke returns how reading the answer that Send passed to read failed, nil if it
// did not.
func Broke(resp *http.Response) error { return resp.Body.(*answerBody).failed }

// answerBody counts what comes in, and keeps how it failed.
type answerBody struct {
	io.ReadCloser
	attempt *retry.Attempt
	failed  error
}

func (b *answerBody) Read(q []byte) (int, error) {
	n, err := b.ReadCloser.Read(q)
	if n > 0 {
		b.attempt.Moved()
	}
	if err != nil && err != io.EOF {
		b.failed = err
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
	b.attempt.Carried()
	if b.left -= n; b.left == 0 {
		b.attempt.Sent()
	}
}

// writeSize is how much a part writes at once: few system calls, and on a slow
// link still a sign of life often enough.
const writeSize = 256 << 10

// movingWriter writes in slices of writeSize and counts each, before the body's
// Close can return: after it the caller knows whether all of it is out.
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
