package s3backend

import (
	"context"
	"crypto/fips140"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/http"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/download"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Download is one file, being read. It is an [io.ReadCloser] for one goroutine.
type Download struct {
	ID   string // as in sluice.File: the version where the bucket keeps versions, else the ETag
	Name string
	Size int64 // bytes
	// Digest of the whole file, as the store keeps it: "sha256", "sha1", "crc32", "crc32c" or "crc64nvme". Its Name is ""
	// if the store has none. Of a file in parts most stores keep only a digest of the parts' digests, which is
	// none of the file.
	Digest sluice.Digest

	stream *download.Reader
}

// Open opens the newest version of a name for reading. The error matches [fs.ErrNotExist] if there is none. It takes the
// permission s3:GetObject; without s3:ListBucket Amazon S3 says of a name that is not there that access is denied. A file
// encrypted with a customer's key is read through a handle that has the key; see [Backend.With].
//
// ctx is for Read too, until Close.
func (b *Backend) Open(ctx context.Context, name string) (*Download, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("s3backend: %w", err)
	}
	label := fmt.Sprintf("s3backend: %q", name)
	f := &downloading{backend: b, name: name, size: download.Unknown}
	stream, err := download.Open(ctx, f, label, b.client.policy.Stall)
	if hasCode(err, "NoSuchKey") {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	return &Download{ID: f.id, Name: name, Size: f.size, Digest: f.stored, stream: stream}, nil
}

// Read reads the next bytes. A connection that breaks, or brings no byte for Retry.Stall, is replaced by another that
// goes on where it ended, with the file of the same ETag: if that was replaced meanwhile the error says so. Retry counts the
// attempts that bring no byte. [io.EOF] means that all bytes came, and that they have the Digest.
func (d *Download) Read(p []byte) (int, error) { return d.stream.Read(p) }

// Close gives the connection up. It may be called again.
func (d *Download) Close() error { return d.stream.Close() }

// downloading is a file on its way; see [download.File].
type downloading struct {
	backend *Backend
	name    string
	tag     string // "" before the first answer
	id      string
	size    int64
	stored  sluice.Digest
	digest  hash.Hash // nil if nothing is stored to compare with

	secrets []string // of the request under way
}

const callGet = "GetObject"

// Size is what the first answer said.
func (d *downloading) Size() int64 { return d.size }

// Received computes the digest.
func (d *downloading) Received(p []byte) {
	if d.digest != nil {
		d.digest.Write(p)
	}
}

// Whole compares the digest.
func (d *downloading) Whole() error {
	if d.digest == nil {
		return nil
	}
	if sum := d.digest.Sum(nil); string(sum) != string(d.stored.Sum) {
		return fmt.Errorf("the %d bytes that came have %s %x, not %x as stored", d.size, d.stored.Name, sum, d.stored.Sum)
	}
	return nil
}

// Broken names the call and cuts secrets.
func (d *downloading) Broken(err error) error {
	return &exchange.TransportError{Call: callGet, Err: exchange.Clean(err, d.secrets...)}
}

// Persist makes attempts by the policy.
func (d *downloading) Persist(ctx context.Context, attempt func() error) error {
	c := d.backend.client
	j := judge{expired: c.expire}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Judge: j.verdict, Backoff: retry.Logged(c.log, retrying, nil),
	}, func(context.Context, *retry.Attempt) error { return attempt() })
}

// Connect asks the first time for whatever file has the name, then for the one of its ETag.
func (d *downloading) Connect(ctx context.Context, offset int64) (*http.Response, error) {
	c, options := d.backend.client, &d.backend.options
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", callGet, err)
	}
	k := &call{name: callGet, method: http.MethodGet, key: d.name, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}}
	options.Encryption.setCustomer(k.header)
	req, err := c.request(ctx, k, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", callGet, exchange.Clean(err))
	}
	// Beside the signature: gateways before some stores change Accept-Encoding.
	download.SetRange(req.Header, offset, d.tag)
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	d.secrets = append(options.Encryption.secrets(), keys.SecretAccessKey, keys.SessionToken, signature)
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
		err := readError(callGet, resp, body, d.secrets)
		if d.tag != "" && (err.Status == http.StatusPreconditionFailed || err.Status == http.StatusNotFound) {
			return fmt.Errorf("%w: %w", errReplaced, err)
		}
		return err
	}
	tag := resp.Header.Get("Etag")
	err := download.Check(resp, offset, d.size)
	switch {
	case err != nil:
	case tag == "":
		err = errors.New("no ETag")
	case d.tag != "" && tag != d.tag:
		err = fmt.Errorf("it is of the file with ETag %.100q, not %q", tag, d.tag)
	}
	if err != nil {
		return &exchange.AnswerError{Call: callGet, Detail: exchange.Present(err.Error(), d.secrets...)}
	}
	if d.tag == "" {
		d.tag, d.id, d.size = tag, id(resp.Header.Get("X-Amz-Version-Id"), tag), resp.ContentLength
		d.stored, d.digest = storedDigest(resp.Header)
	}
	return nil
}

// errReplaced means that a broken download cannot be gone on with.
var errReplaced = errors.New("the file was replaced or removed while it was being read")

// storedDigest is what the headers of a download say of the whole file, and what computes it again. The digest of a file in
// parts is one of the parts' digests if it ends with "-" and their number, or has the type COMPOSITE (S3 user guide,
// "Checking object integrity": documented).
func storedDigest(h http.Header) (sluice.Digest, hash.Hash) {
	if h.Get("X-Amz-Checksum-Type") == "COMPOSITE" {
		return sluice.Digest{}, nil
	}
	for _, c := range kept {
		if c.name == "sha1" && fips140.Enforced() {
			continue // it would panic
		}
		sum, err := base64.StdEncoding.DecodeString(h.Get(c.header))
		if again := c.new(); err == nil && len(sum) == again.Size() {
			return sluice.Digest{Name: c.name, Sum: sum}, again
		}
	}
	return sluice.Digest{}, nil
}
