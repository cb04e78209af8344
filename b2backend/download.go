package b2backend

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/c1508ce4/sluice/internal/download"
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

	stream *download.Reader
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
	label := fmt.Sprintf("b2backend: %q", name)
	f := &downloading{backend: b, name: name, size: download.Unknown, digest: sha1.New()}
	stream, err := download.Open(ctx, f, label, b.client.policy.Stall)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	return &Download{ID: f.id, Name: name, Size: f.size, SHA1: f.sha1, stream: stream}, nil
}

// Format prints the name and the ID, for every verb: a connection holds the account's token.
func (d *Download) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "b2 download of %q, version %s", d.Name, d.ID)
}

// Read reads the next bytes. A connection that breaks, or brings no byte for Retry.Stall, is replaced by another that
// goes on where it ended; Retry counts the attempts that bring no byte. [io.EOF] means that all bytes
// came, and that they have the SHA-1 that is known of them.
func (d *Download) Read(p []byte) (int, error) { return d.stream.Read(p) }

// Close gives the connection up. It may be called again.
func (d *Download) Close() error { return d.stream.Close() }

// downloading is a file on its way; see [download.File].
type downloading struct {
	backend *Backend
	name    string
	id      string // "" before the first answer
	size    int64
	sha1    []byte
	digest  hash.Hash

	account *account // for the next request
	call    string   // under way
	secrets []string // of it
}

// Size is what the first answer said.
func (d *downloading) Size() int64 { return d.size }

// Received computes the digest.
func (d *downloading) Received(p []byte) { d.digest.Write(p) }

// Whole compares the digest.
func (d *downloading) Whole() error {
	if sum := d.digest.Sum(nil); d.sha1 != nil && string(sum) != string(d.sha1) {
		return fmt.Errorf("the %d bytes that came have SHA-1 %x, not %x as stored", d.size, sum, d.sha1)
	}
	return nil
}

// Broken names the call and cuts secrets.
func (d *downloading) Broken(err error) error {
	return &exchange.TransportError{Call: d.call, Err: exchange.Clean(err, d.secrets...)}
}

// Persist makes attempts with an account whose token is not known to be dead.
func (d *downloading) Persist(ctx context.Context, attempt func() error) error {
	c := d.backend.client
	j := judge{at: apiEndpoint, login: func() { c.session.expire(d.account) }}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			d.account, err = c.account(ctx)
			return err
		},
		Judge:   j.verdict,
		Backoff: c.backoff(nil),
	}, func(context.Context, *retry.Attempt) error { return attempt() })
}

// Connect asks the first time for whatever version is the newest, then for that one.
func (d *downloading) Connect(ctx context.Context, offset int64) (*http.Response, error) {
	c, a := d.backend.client, d.account
	if _, err := exchange.CheckURL(a.downloadURL, c.plainHTTP); err != nil {
		return nil, fmt.Errorf("downloadUrl of the account: %w", err)
	}
	address := a.downloadURL + "/file/" + d.backend.bucket.Name + "/" + encode(d.name)
	d.call = downloadByName
	if d.id != "" {
		address = a.downloadURL + apiVersion + downloadByID + "?fileId=" + url.QueryEscape(d.id)
		d.call = downloadByID
	}
	d.secrets = append(d.backend.options.Encryption.secrets(), a.token, c.session.credentials.Key)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, exchange.Clean(err, d.secrets...)
	}
	req.Header.Set("Authorization", a.token)
	req.Header.Set("User-Agent", c.userAgent)
	download.SetRange(req.Header, offset, "")
	d.backend.options.Encryption.setCustomer(req.Header)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, d.Broken(err)
	}
	if err := d.accept(resp, offset); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// accept takes from the first answer what file it is, and checks that later ones go on with it.
func (d *downloading) accept(resp *http.Response, offset int64) error {
	if resp.StatusCode >= 300 {
		body, _ := exchange.ReadAll(resp.Body, maxAnswer) // an error with a garbled body is still that error
		return readError(d.call, resp, body, d.secrets)
	}
	id := resp.Header.Get("X-Bz-File-Id")
	err := download.Check(resp, offset, d.size)
	switch {
	case err != nil:
	case id == "":
		err = errors.New("no file id")
	case d.id != "" && id != d.id:
		err = fmt.Errorf("it is of file %.100q, not %q", id, d.id)
	case d.id == "":
		d.id, d.size, d.sha1 = id, resp.ContentLength, storedSHA1(resp.Header)
	}
	if err != nil {
		return unusable(d.call, "%s", exchange.Present(err.Error(), d.secrets...))
	}
	return nil
}

// storedSHA1 is what the headers of a download say of the whole file (recorded). nil if nothing.
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
