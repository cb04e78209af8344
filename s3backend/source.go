package s3backend

import (
	"context"
	"crypto/fips140"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/download"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

var _ sluice.Source = (*Backend)(nil)

// Stat describes the newest version of a file by HeadObject and, for one that
// was uploaded in parts, GetObjectAttributes, which tells the parts' sizes and
// checksums where the store has them. It takes the permission s3:GetObject and,
// for the parts, s3:GetObjectAttributes, without which they are not known.
// Without s3:ListBucket Amazon S3 reports a name that is not there as denied. A
// file encrypted with a customer's key is read through a handle that has the
// key; see [Backend.With].
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f, err := b.stat(ctx, name, "", func(http.Header) {})
	if err == nil && strings.Contains(f.ETag, "-") {
		f.Receipts, err = b.attributes(ctx, &f)
	}
	if err != nil {
		return sluice.StoredFile{}, fmt.Errorf("s3backend: %q: %w", name, err)
	}
	f.Parts = len(f.Receipts)
	return f, nil
}

// stat asks for one version of a file, the newest one if version is "". also gets
// the headers of the answer.
func (b *Backend) stat(ctx context.Context, name, version string, also func(http.Header)) (sluice.StoredFile, error) {
	f := sluice.StoredFile{File: sluice.File{Name: name}}
	if ctx.Err() != nil {
		return f, retry.Ended(ctx, nil)
	}
	if err := checkName(name); err != nil {
		return f, err
	}
	k := b.headCall(name, func(h http.Header) error {
		also(h)
		return readStat(&f, h)
	})
	k.query = versionQuery(version)
	err := b.client.protection.asking(k.header, func() error { return b.client.do(ctx, k) })
	return f, notFound(err)
}

func versionQuery(version string) url.Values {
	if version == "" {
		return nil
	}
	return url.Values{"versionId": {version}}
}

// notFound makes an error about a file or version that is not there match
// fs.ErrNotExist. The answer to HEAD has no code.
func notFound(err error) error {
	e, ok := errors.AsType[*Error](err)
	if ok && (hasCode(err, "NoSuchKey", "NoSuchVersion") || e.Status == http.StatusNotFound && e.Call == "HeadObject") {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// readStat takes what the headers of an answer tell of a file.
func readStat(f *sluice.StoredFile, h http.Header) error {
	var o object
	if err := o.read(h, noChecksum); err != nil {
		return err
	}
	if o.tag == "" {
		return errors.New("no ETag")
	}
	f.Size, f.ETag, f.ID, f.Modified = o.size, o.tag, id(o.version, o.tag), o.modified
	f.ContentType = h.Get("Content-Type")
	f.Metadata = map[string]string{}
	for name := range h {
		if key, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok && name != tagHeader {
			f.Metadata[strings.ToLower(key)] = h.Get(name)
		}
	}
	if digest := storedDigest(h); digest.Name != "" {
		f.Digests = sluice.Digests{digest}
	}
	f.Algorithms = algorithms()
	return nil
}

// storedDigest is what the headers of an answer tell of the whole file. The
// digest of a file in parts is one of the parts' digests if it ends with "-" and
// their number, or has the type COMPOSITE (S3 user guide, "Checking object
// integrity": documented).
func storedDigest(h http.Header) sluice.Digest {
	if h.Get("X-Amz-Checksum-Type") == "COMPOSITE" {
		return sluice.Digest{}
	}
	for _, c := range kept {
		if c.name == "sha1" && fips140.Enforced() {
			continue // it would panic
		}
		if sum, err := base64.StdEncoding.DecodeString(h.Get(c.header)); err == nil && len(sum) == c.new().Size() {
			return sluice.Digest{Name: c.name, Sum: sum}
		}
	}
	return sluice.Digest{}
}

// version is the version of a file to ask for, "" where its bucket keeps none.
func version(f *sluice.StoredFile) string {
	if f.ID == strings.Trim(f.ETag, `"`) {
		return ""
	}
	return f.ID
}

// ReadRange asks for a range by GetObject, of the version where the bucket keeps
// versions, and on condition that the ETag is the same; see [sluice.Source].
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	err := download.Within(r, f.Size)
	if err == nil && r.Missing() > 0 {
		c := b.client
		repeated := c.retries(&call{})
		repeated.Backoff = retry.Logged(c.log, retrying, r.Backoff)
		err = download.Fill(ctx, c.policy, repeated, r,
			func(ctx context.Context, try *retry.Attempt) error { return b.get(ctx, &f, r, try) })
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusPreconditionFailed {
		err = fmt.Errorf("%w: %w", sluice.ErrReplaced, err)
	}
	if err = notFound(err); err != nil {
		return fmt.Errorf("s3backend: %q: %w", f.Name, err)
	}
	return nil
}

func (b *Backend) get(ctx context.Context, f *sluice.StoredFile, r *sluice.Range, try *retry.Attempt) error {
	k := b.about(f.Name, http.MethodGet, "GetObject")
	k.query = versionQuery(version(f))
	b.options.Encryption.setCustomer(k.header)
	req, x, err := b.client.signed(ctx, k)
	if err != nil {
		return err
	}
	offset, size := r.Attempt()
	// Beside the signature: gateways before some stores change Accept-Encoding.
	download.SetBytes(req.Header, offset, size, f.ETag)
	download.Reconnect(r, b.client.transport, req)
	x.Refused = func(resp *http.Response) error {
		if resp.StatusCode >= 300 {
			return readError(k.name, resp, resp.Body, x.Secrets)
		}
		return nil
	}
	return x.Send(b.client.transport, req, nil, try, func(resp *http.Response) error {
		if err := download.CheckBytes(resp, offset, size, f.Size); err != nil {
			return err
		}
		if tag := strongTag(resp.Header.Get("Etag")); tag != f.ETag {
			return fmt.Errorf("the file of ETag %.100q, not %q", tag, f.ETag)
		}
		return download.Into(r, resp.Body, try)
	})
}

// List lists the newest versions of files by ListObjectsV2. Their IDs are their
// ETags, also where the bucket keeps versions. It takes the permission
// s3:ListBucket.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		for page, err := range b.pages(ctx, "ListObjectsV2", "ListBucketResult", prefix, url.Values{"list-type": {"2"}}) {
			if err != nil {
				yield(sluice.StoredFile{}, fmt.Errorf("s3backend: %w", err))
				return
			}
			for _, o := range page.Contents {
				tag := strongTag(o.ETag)
				f := sluice.StoredFile{
					File: sluice.File{ID: id("", tag), Name: o.Key, Size: int64(o.Size)}, ETag: tag, Modified: o.LastModified.Time,
				}
				if strings.HasPrefix(o.Key, prefix) && !yield(f, nil) {
					return
				}
			}
		}
	}
}

// Remove removes exactly the version that f describes. Where the bucket keeps
// versions, the one before becomes the newest. Where it keeps none, a file that
// takes the name between the look and the removal is removed too. It takes the
// permissions s3:GetObject and s3:DeleteObject, or s3:DeleteObjectVersion. The
// error about a file that Object Lock protects matches [sluice.ErrLocked] and
// says until when, if the store tells.
func (b *Backend) Remove(ctx context.Context, f sluice.StoredFile) error {
	var lock error
	which := version(&f)
	look := func(ctx context.Context) (sluice.StoredFile, error) {
		is, err := b.stat(ctx, f.Name, which, func(h http.Header) { lock = lockedBy(h) })
		if err == nil && is.ETag != f.ETag {
			err = sluice.ErrReplaced
		}
		return is, err
	}
	is, err := look(ctx)
	if err == nil {
		// An entry of a list names no version. Without one a file would only be
		// hidden where the bucket keeps versions.
		which = version(&is)
		k := &call{
			name: "DeleteObject", method: http.MethodDelete, key: f.Name, query: versionQuery(which),
			read: noContent,
		}
		c, lost := b.client, false // an earlier attempt may have removed it, and another file have taken its name
		err = c.policy.Within(ctx).Do(ctx, c.retries(k), func(ctx context.Context, try *retry.Attempt) (err error) {
			if lost {
				_, err = look(ctx)
			}
			if err == nil {
				err = c.send(ctx, k, try)
				_, v := classify(err)
				lost = lost || v.Outcome == retry.Unknown
			}
			return err
		})
		if lost && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, sluice.ErrReplaced)) {
			return nil
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Status < 500 && lock != nil {
			err = fmt.Errorf("%w; %w", err, lock)
		}
	}
	if err != nil {
		return fmt.Errorf("s3backend: %q: %w", f.Name, err)
	}
	return nil
}

// noContent rejects an answer with content where the store sends none: a gateway may answer
// any request with a page of its own.
func noContent(_ http.Header, body io.Reader) error {
	if n, _ := io.ReadFull(body, make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: it has content", decode.ErrUnusable)
	}
	return nil
}

// lockedBy returns what keeps a file from being removed, or nil where the headers
// of HeadObject do not tell.
func lockedBy(h http.Header) error {
	return httpx.Locked(h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date"), h.Get("X-Amz-Object-Lock-Legal-Hold") == "ON")
}

// attributesAnswer is the parts of a file in parts (S3 API reference,
// GetObjectAttributes: documented). Amazon S3 lists them only where they were
// uploaded with checksums.
type attributesAnswer struct {
	XMLName     xml.Name `xml:"GetObjectAttributesResponse"`
	ObjectParts struct {
		IsTruncated          bool
		NextPartNumberMarker int
		Parts                []struct {
			PartNumber int
			Size       int64
			checksums
		} `xml:"Part"`
	}
}

// attributes asks for the parts of f. They are nil where the store does not tell
// them, or tells them of other bytes.
func (b *Backend) attributes(ctx context.Context, f *sluice.StoredFile) ([]sluice.Receipt, error) {
	var parts []sluice.Receipt
	var total int64
	most := max(defaultMaxParts, b.limits.MaxParts)
	query := url.Values{"attributes": {""}}
	if v := version(f); v != "" {
		query.Set("versionId", v)
	}
	h := http.Header{"X-Amz-Object-Attributes": {"ObjectParts"}, "If-Match": {f.ETag}, "X-Amz-Max-Parts": {"1000"}}
	b.options.Encryption.setCustomer(h)
	for {
		var page attributesAnswer
		k := &call{
			name: "GetObjectAttributes", method: http.MethodGet, key: f.Name, query: query, header: h,
			secrets: b.options.Encryption.secrets(), read: decoder(&page), unknown: true,
		}
		if err := b.client.do(ctx, k); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && e.Status < 500 || ok && e.Status == http.StatusNotImplemented || isUnusable(err) {
				b.client.log.Debug("s3: the parts of a file are not known", slog.Any("because", err))
				return nil, nil
			}
			return nil, err
		}
		for i := range page.ObjectParts.Parts {
			p := &page.ObjectParts.Parts[i]
			r := sluice.Receipt{Number: p.PartNumber, Size: p.Size, Digests: p.digests()}
			if r.Number != len(parts)+1 || r.Number > most || r.Size < 0 || r.Size > f.Size-total {
				return nil, nil
			}
			total += r.Size
			parts = append(parts, r)
		}
		next := page.ObjectParts.NextPartNumberMarker
		if !page.ObjectParts.IsTruncated {
			break
		}
		if next != len(parts) || len(page.ObjectParts.Parts) == 0 {
			return nil, nil
		}
		h.Set("X-Amz-Part-Number-Marker", strconv.Itoa(next))
	}
	if total != f.Size {
		return nil, nil
	}
	return parts, nil
}

func isUnusable(err error) bool {
	_, ok := errors.AsType[*httpx.AnswerError](err)
	return ok
}
