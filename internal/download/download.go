// Package download reads one file of a store over as many connections as it takes.
package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice/internal/retry"
)

// File is what a backend knows of a file that is being read. Its methods are called by one goroutine.
type File interface {
	// Persist makes attempts, by the backend's policy, until one succeeds.
	Persist(ctx context.Context, attempt func() error) error
	// Connect asks for the bytes from offset on, and checks that the answer brings them: the first time of
	// whatever file has the name, then of that very one. Its errors are fit to be shown. ctx goes on until the body
	// of the answer is closed.
	Connect(ctx context.Context, offset int64) (*http.Response, error)
	// Broken makes an error of a connection fit to be shown.
	Broken(err error) error
	// Size is of the file, in bytes. It is asked for after a Connect.
	Size() int64
	// Received is told of all bytes, in order.
	Received(p []byte)
	// Whole is asked once all bytes came: nil, or how they are not those that were stored.
	Whole() error
}

// Reader is a file being read, by one goroutine.
type Reader struct {
	file  File
	label string // what errors begin with
	ctx   context.Context
	stall time.Duration
	from  *connection // nil: the next Read makes one
	read  int64       // bytes handed out
	err   error       // what every further Read returns
}

// Open connects. ctx is for reading too, until Close. A connection that brings no byte for the stall limit, while somebody
// waits for one, is broken. Errors of Read begin with the label; those of Open do not.
func Open(ctx context.Context, file File, label string, stall time.Duration) (*Reader, error) {
	r := &Reader{file: file, label: label, ctx: ctx, stall: stall}
	return r, file.Persist(ctx, r.connect)
}

// Read reads the next bytes. A connection that breaks is replaced by another that goes on where it ended; the attempts that
// bring no byte are the policy's to count. [io.EOF] means that all bytes came, and that they are those stored.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err == nil && r.read == r.file.Size() {
		r.err = io.EOF
		if err := r.file.Whole(); err != nil {
			r.err = fmt.Errorf("%s: %w", r.label, err)
		}
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	var n int
	var err error
	if r.from != nil {
		n, err = r.receive(p)
	}
	if n == 0 && (r.from == nil || err != nil) {
		err = r.file.Persist(r.ctx, func() error {
			if err := r.connect(); err != nil {
				return err
			}
			var err error
			if n, err = r.receive(p); n > 0 {
				return nil
			}
			return cmp.Or(err, io.ErrNoProgress)
		})
		if err != nil {
			r.err = fmt.Errorf("%s, after %d of %d bytes: %w", r.label, r.read, r.file.Size(), err)
			return 0, r.err
		}
	}
	r.file.Received(p[:n])
	r.read += int64(n)
	return n, nil
}

// Close gives the connection up. It may be called again.
func (r *Reader) Close() error {
	r.disconnect()
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.label, fs.ErrClosed)
	}
	return nil
}

func (r *Reader) disconnect() {
	if r.from != nil {
		r.from.close()
		r.from = nil
	}
}

// connect asks for the bytes that are missing.
func (r *Reader) connect() error {
	r.disconnect()
	ctx, cancel := context.WithCancelCause(r.ctx)
	c := &connection{ctx: ctx, cancel: cancel, timer: time.AfterFunc(r.stall, func() { cancel(retry.ErrStalled) })}
	resp, err := r.file.Connect(ctx, r.read)
	c.timer.Stop()
	if err != nil {
		c.close()
		if c.stalled() {
			return r.file.Broken(stalled(err))
		}
		return err
	}
	c.body = resp.Body
	r.from = c
	return nil
}

func (r *Reader) receive(p []byte) (int, error) {
	c := r.from
	c.timer.Reset(r.stall)
	n, err := c.body.Read(p)
	c.timer.Stop()
	if err == nil {
		return n, nil
	}
	if c.stalled() {
		err = stalled(err)
	}
	return n, r.file.Broken(err)
}

// stalled does not unwrap to the context that ended, which is not the caller's.
func stalled(err error) error { return fmt.Errorf("%w: %w", retry.ErrStalled, errors.New(err.Error())) }

// connection is an answer whose body is read piece by piece. It stalls only while somebody waits for it: who reads may be
// slow.
type connection struct {
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	body   io.ReadCloser // nil before the answer
}

func (c *connection) stalled() bool { return context.Cause(c.ctx) == retry.ErrStalled }

func (c *connection) close() {
	c.timer.Stop()
	if c.body != nil {
		defer c.body.Close()
	}
	c.cancel(nil)
}
