package b2backend

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

const (
	downloadByName = "b2_download_file_by_name"
	downloadByID   = "b2_download_file_by_id"
)

// Download is one version of a file, being read. It is an [io.ReadCloser] for one goroutine.
type Download struct {
	ID   string
	Name string
	Size int64 // bytes
	// SHA1 of the whole file: the service's own for a file stored in one call; for a large file what its
	// uploader said (FileOptions.LargeFileSHA1). nil if there is none.
	SHA1 []byte

	backend *Backend
	ctx     context.Context // of Open; io.Reader has none
	from    *connection     // nil: the next Read makes one
	read    int64           // bytes handed out
	digest  hash.Hash
	err     error // what every further Read returns
}

// Open opens the newest version of a name for reading. The error matches [fs.ErrNotExist] if there is none. It
// takes the capability readFiles. A file encrypted with a customer's key is read through a handle that has the
// key; see [Backend.With].
//
// ctx is for Read too, until Close.
func (b *Backend) Open(ctx context.Context, name string) (*Download, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("b2backend: %w", err)
	}
	d := &Download{Name: name, backend: b, ctx: ctx, digest: sha1.New()}
	err := d.persist(d.connect)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("b2backend: %q: %w", name, err)
	}
	return d, nil
}

// Read reads the next bytes. A connection that breaks, or brings no byte for Retry.Stall, is replaced by another that
// goes on where it ended; Retry counts the attempts that bring no byte. [io.EOF] means that all bytes
// came, and that they have the SHA-1 that is known of them.
func (d *Download) Read(p []byte) (int, error) {
	if d.err == nil && d.read == d.Size {
		d.err = d.whole()
	}
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	var n int
	var err error
	if d.from != nil {
		n, err = d.from.read(p)
	}
	if n == 0 && (d.from == nil || err != nil) {
		err = d.persist(func(a *account) error {
			if err := d.connect(a); err != nil {
				return err
			}
			var err error
			if n, err = d.from.read(p); n > 0 {
				return nil
			}
			return cmp.Or(err, io.ErrNoProgress)
		})
		if err != nil {
			d.err = fmt.Errorf("b2backend: %q, after %d of %d bytes: %w", d.Name, d.read, d.Size, err)
			return 0, d.err
		}
	}
	d.digest.Write(p[:n])
	d.read += int64(n)
	return n, nil
}

// whole is io.EOF, or how the bytes are not those that were stored.
func (d *Download) whole() error {
	if sum := d.digest.Sum(nil); d.SHA1 != nil && string(sum) != string(d.SHA1) {
		return fmt.Errorf("b2backend: %q: the %d bytes that came have SHA-1 %x, not %x as stored", d.Name, d.Size, sum, d.SHA1)
	}
	return io.EOF
}

// Close gives the connection up. It may be called again.
func (d *Download) Close() error {
	d.disconnect()
	if d.err == nil {
		d.err = fmt.Errorf("b2backend: %q: %w", d.Name, fs.ErrClosed)
	}
	return nil
}

// persist makes attempts, with an account whose token is not known to be dead, until one succeeds.
func (d *Download) persist(attempt func(*account) error) error {
	c := d.backend.client
	var a *account
	j := judge{at: apiEndpoint, login: func() { c.session.expire(a) }}
	return c.policy.Unlimited().Do(d.ctx, retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			a, err = c.account(ctx)
			return err
		},
		Judge:    j.verdict,
		Retrying: c.retrying(nil),
	}, func(context.Context, *retry.Attempt) error { return attempt(a) })
}

// connect asks for the bytes that are missing: the first time of whatever version is the newest, then of that one.
func (d *Download) connect(a *account) error {
	d.disconnect()
	c := d.backend.client
	if _, err := exchange.CheckURL(a.downloadURL, c.plainHTTP); err != nil {
		return fmt.Errorf("downloadUrl of the account: %w", err)
	}
	call, address := downloadByName, a.downloadURL+"/file/"+d.backend.bucket.Name+"/"+encode(d.Name)
	if d.ID != "" {
		call, address = downloadByID, a.downloadURL+apiVersion+downloadByID+"?fileId="+url.QueryEscape(d.ID)
	}
	from := &connection{call: call, secrets: append(d.backend.options.Encryption.secrets(), a.token, c.session.credentials.Key)}
	ctx, cancel := context.WithCancelCause(d.ctx)
	from.cancel = cancel
	from.stalled = func() bool { return context.Cause(ctx) == retry.ErrStalled }
	from.limit = c.policy.Stall
	from.timer = time.AfterFunc(from.limit, func() { cancel(retry.ErrStalled) })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		from.close()
		return exchange.Clean(err, from.secrets...)
	}
	req.Header.Set("Authorization", a.token)
	req.Header.Set("User-Agent", c.userAgent)
	// Said, so that no transport asks for gzip by itself and unpacks what was stored so.
	req.Header.Set("Accept-Encoding", "identity")
	d.backend.options.Encryption.setCustomer(req.Header)
	if d.read > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.read))
	}
	resp, err := c.transport.RoundTrip(req)
	from.timer.Stop()
	if err != nil {
		from.close()
		return from.broken(err)
	}
	from.body = resp.Body
	if err := d.accept(from, resp); err != nil {
		from.close()
		return err
	}
	d.from = from
	return nil
}

// accept takes from the first answer what file it is, and checks that later ones go on with it.
func (d *Download) accept(from *connection, resp *http.Response) error {
	h := resp.Header
	status, wanted := http.StatusOK, ""
	if d.read > 0 {
		status, wanted = http.StatusPartialContent, fmt.Sprintf("bytes %d-%d/%d", d.read, d.Size-1, d.Size)
	}
	if resp.StatusCode >= 300 {
		from.timer.Reset(from.limit)
		body, _ := exchange.ReadAll(resp.Body, maxAnswer) // an error with a garbled body is still that error
		return readError(from.call, resp, body, from.secrets)
	}
	id := h.Get("X-Bz-File-Id")
	switch {
	case resp.StatusCode != status:
		return unusable(from.call, "status %d, not %d", resp.StatusCode, status)
	case id == "":
		return unusable(from.call, "no file id")
	case resp.ContentLength < 0:
		return unusable(from.call, "no length")
	case d.ID != "" && (id != d.ID || resp.ContentLength != d.Size-d.read || h.Get("Content-Range") != wanted):
		return unusable(from.call, "%d bytes (%.60q) of file %.100q, not %q of %q", resp.ContentLength, h.Get("Content-Range"), id, wanted, d.ID)
	case d.ID == "":
		d.ID, d.Size, d.SHA1 = id, resp.ContentLength, storedSHA1(h)
	}
	return nil
}

// storedSHA1 is what the headers of a download say of the whole file (b2-api: recorded). nil if nothing.
func storedSHA1(h http.Header) []byte {
	text := strings.TrimPrefix(h.Get("X-Bz-Content-Sha1"), "unverified:")
	if text == "none" {
		text = h.Get("X-Bz-Info-" + largeFileSHA1Key)
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha1.Size {
		return nil
	}
	return sum
}

func (d *Download) disconnect() {
	if d.from != nil {
		d.from.close()
		d.from = nil
	}
}

// connection is an answer whose body is read piece by piece. It stalls only while somebody waits for it: who
// reads may be slow.
type connection struct {
	call    string
	secrets []string
	body    io.ReadCloser // nil before the answer
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	limit   time.Duration
	stalled func() bool
}

func (c *connection) read(p []byte) (int, error) {
	c.timer.Reset(c.limit)
	n, err := c.body.Read(p)
	c.timer.Stop()
	if err != nil {
		err = c.broken(err)
	}
	return n, err
}

// broken says how the connection ended.
func (c *connection) broken(err error) error {
	if c.stalled() {
		err = fmt.Errorf("%w: %w", retry.ErrStalled, errors.New(err.Error())) // not the context, which is our own
	}
	return &exchange.TransportError{Call: c.call, Err: exchange.Clean(err, c.secrets...)}
}

func (c *connection) close() {
	c.timer.Stop()
	c.cancel(nil)
	if c.body != nil {
		c.body.Close()
	}
}
