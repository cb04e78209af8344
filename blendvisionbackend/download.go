package blendvisionbackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/c1508ce4/sluice/internal/download"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// Download is one file of the library, being read. It is an [io.ReadCloser] for one goroutine.
type Download struct {
	ID   string // of the file in the library
	Name string // as the service gives it for downloads
	Size int64  // bytes

	stream *download.Reader
}

// Open opens a finished file for reading, by the ID that its upload returned: the service finds files by nothing else
// (documented). The error matches [fs.ErrNotExist] if there is none. The service tells no digest of a file, so what came is
// checked by its length alone.
//
// ctx is for Read too, until Close.
func (b *Backend) Open(ctx context.Context, id string) (*Download, error) {
	if id == "" {
		return nil, errors.New("blendvisionbackend: the file id is empty")
	}
	f := &downloading{backend: b, id: id, size: download.Unknown}
	label := fmt.Sprintf("blendvisionbackend: file %q", id)
	stream, err := download.Open(ctx, f, label, b.policy.Stall)
	if gone(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	return &Download{ID: id, Name: f.name, Size: f.size, stream: stream}, nil
}

// Read reads the next bytes. A connection that breaks, or brings no byte for Retry.Stall, is replaced by another, to
// a download URL asked for anew, that goes on where it ended, with the content of the same ETag; Retry counts the
// attempts that bring no byte. [io.EOF] means that all bytes came.
func (d *Download) Read(p []byte) (int, error) { return d.stream.Read(p) }

// Close gives the connection up. It may be called again.
func (d *Download) Close() error { return d.stream.Close() }

// downloading is a file on its way; see [download.File].
type downloading struct {
	backend *Backend
	id      string
	name    string
	size    int64
	tag     string // of the first answer

	secrets []string // of the request under way
}

// Size is what the first answer said.
func (d *downloading) Size() int64 { return d.size }

// Received has nothing to do: no digest is known.
func (d *downloading) Received([]byte) {}

// Whole has nothing to compare.
func (d *downloading) Whole() error { return nil }

// Broken names the call and cuts secrets.
func (d *downloading) Broken(err error) error {
	return named(callGet, exchange.Clean(err, d.secrets...))
}

// Persist makes attempts by the policy.
func (d *downloading) Persist(ctx context.Context, attempt func() error) error {
	return d.backend.repeat(ctx, callGet, attempt)
}

// Connect asks for a download URL, which may have expired since the last time, and gets what is there. The credentials
// are not sent to it. That ranges are served as HTTP has it is assumed; where they are not, a broken download fails.
func (d *downloading) Connect(ctx context.Context, offset int64) (*http.Response, error) {
	b := d.backend
	d.secrets = b.secrets()
	answer, err := postOnce[downloadAnswer](ctx, b, callDownload, d.id, struct{}{})
	if err == nil && answer.ID != d.id {
		err = named(callDownload, errOther)
	}
	if err != nil {
		return nil, err
	}
	u, err := exchange.CheckURL(answer.URI, b.opts.AllowPlainHTTP)
	if err != nil {
		return nil, named(callDownload, err)
	}
	d.secrets = append(d.secrets, secretsOf(u)...)
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	download.SetRange(req.Header, offset, d.tag)
	resp, err := b.opts.Transport.RoundTrip(req)
	if err != nil {
		return nil, d.Broken(err)
	}
	if err := d.accept(resp, offset); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if d.size == download.Unknown {
		d.name, d.tag, d.size = answer.Filename, resp.Header.Get("ETag"), resp.ContentLength
	}
	return resp, nil
}

// accept checks that an answer goes on with what the first one began.
func (d *downloading) accept(resp *http.Response, offset int64) error {
	if resp.StatusCode >= 300 {
		return refusal(callGet, resp, d.secrets)
	}
	tag := resp.Header.Get("ETag")
	err := download.Check(resp, offset, d.size)
	switch {
	case err != nil:
	case d.size != download.Unknown && tag != d.tag:
		err = fmt.Errorf("its ETag is %.100q, not %q", tag, d.tag)
	case offset > 0 && d.tag == "":
		err = errors.New("without an ETag nothing tells that it goes on with the same bytes")
	}
	if err != nil {
		text := exchange.Present(err.Error(), d.secrets...)
		return named(callGet, fmt.Errorf("%w: %s", errUnreadable, text))
	}
	return nil
}
