package blendvisionbackend

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/download"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

var _ sluice.Source = (*Backend)(nil)

// Stat describes a finished file. Its name is the ID that the upload returned:
// the service finds files by nothing else (documented). The size, the ETag and
// the time are those of the object store, which is asked for the first byte; the
// service tells no digest, content type or attributes of a finished file.
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f := sluice.StoredFile{File: sluice.File{ID: name, Name: name}}
	err := errNoID
	if name != "" {
		err = b.client.policy.Within(ctx).Do(ctx, b.client.repeated(), func(ctx context.Context, try *retry.Attempt) error {
			return b.client.get(ctx, try, &f, nil)
		})
	}
	if err = notFound(err); err != nil {
		return sluice.StoredFile{}, fmt.Errorf("blendvisionbackend: file %q: %w", name, err)
	}
	return f, nil
}

var errNoID = errors.New("the file id is empty")

// ReadRange asks for a download URL, because an earlier one may have expired,
// and for the range there, on condition that the ETag is the same; see
// [sluice.Source].
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	err := download.Within(r, f.Size)
	if err == nil && r.Missing() > 0 {
		repeated := b.client.repeated()
		repeated.Backoff = retry.Logged(b.client.log, retrying, r.Backoff)
		err = download.Fill(ctx, b.client.policy, repeated, r,
			func(ctx context.Context, try *retry.Attempt) error { return b.client.get(ctx, try, &f, r) })
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusPreconditionFailed {
		err = fmt.Errorf("%w: %w", sluice.ErrReplaced, err)
	}
	if err = notFound(err); err != nil {
		return fmt.Errorf("blendvisionbackend: file %q: %w", f.ID, err)
	}
	return nil
}

// List yields [errors.ErrUnsupported]: files are found by their IDs, and the
// service does not list those by a prefix.
func (b *Backend) List(ctx context.Context, _ string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		err := fmt.Errorf("blendvisionbackend: listing files: %w", errors.ErrUnsupported)
		if ctx.Err() != nil {
			err = retry.Ended(ctx, nil)
		}
		yield(sluice.StoredFile{}, err)
	}
}

// get makes one attempt at filling r with bytes of f or, without r, at learning
// from the first byte what f is.
func (c *client) get(ctx context.Context, try *retry.Attempt, f *sluice.StoredFile, r *sluice.Range) error {
	secrets := c.keys.secrets()
	answer, err := c.locate(ctx, try, f.ID)
	if err != nil {
		return err
	}
	req, err := c.getRequest(ctx, answer)
	if err != nil {
		return err
	}
	secrets = append(secrets, httpx.SecretsOf(req.URL)...)
	offset, size := int64(0), int64(1)
	if r != nil {
		offset, size = r.Attempt()
		download.Reconnect(r, c.transport, req)
	}
	download.SetBytes(req.Header, offset, size, f.ETag)
	return exchange(callGet, secrets).Send(c.transport, req, nil, try, func(resp *http.Response) error {
		if r == nil {
			return readStat(f, resp)
		}
		if tag := resp.Header.Get("ETag"); tag != f.ETag {
			return fmt.Errorf("its ETag is %.100q, not %q", tag, f.ETag)
		}
		if err := download.CheckBytes(resp, offset, size, f.Size); err != nil {
			return err
		}
		return download.Into(r, resp.Body, try)
	})
}

// readStat takes what the answer with the first byte, or with all of them, tells
// of the whole file.
func readStat(f *sluice.StoredFile, resp *http.Response) (err error) {
	if f.ETag = resp.Header.Get("ETag"); f.ETag == "" {
		return errors.New("no ETag")
	}
	f.Modified, _ = http.ParseTime(resp.Header.Get("Last-Modified"))
	if f.Size = resp.ContentLength; f.Size >= 0 && resp.StatusCode == http.StatusOK {
		return nil
	}
	_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if f.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
		return fmt.Errorf("no size of the file in the range %.60q", resp.Header.Get("Content-Range"))
	}
	return download.CheckBytes(resp, 0, 1, f.Size)
}

func (c *client) locate(ctx context.Context, try *retry.Attempt, id string) (downloadAnswer, error) {
	var answer downloadAnswer
	err := c.post(ctx, try, callDownload, id, struct{}{}, &answer)
	if err == nil && (answer.ID != id || answer.URI == "") {
		err = unusable(callDownload, otherFile)
	}
	return answer, err
}

// getRequest is a request for the bytes there. The credentials are not sent.
func (c *client) getRequest(ctx context.Context, at downloadAnswer) (*http.Request, error) {
	u, err := c.hosts.Check(at.URI)
	if err != nil {
		return nil, named(callDownload, err)
	}
	return (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx), nil
}
