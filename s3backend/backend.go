package s3backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/c1508ce4/sluice"
)

// partGrace is how long the answer to a part that is out is waited for when its context has ended.
const partGrace = 2 * time.Second

// Backend stores files in one bucket. It is a [sluice.Backend] and may be used
// concurrently. All handles that [Backend.With] returns share its connections.
type Backend struct {
	client     *client
	limits     sluice.Limits
	opaqueTags bool
	options    FileOptions
}

var _ sluice.Backend = (*Backend)(nil)

// New returns the store of a bucket. It reads the AWS environment and files if
// the options leave something out, and sends nothing: credentials are fetched,
// and the bucket is looked for, by the first call that needs them. Options may
// be nil.
func New(ctx context.Context, bucket string, options *Options) (*Backend, error) {
	c, o, err := options.resolve(ctx, bucket)
	if err != nil {
		return nil, err
	}
	b := &Backend{client: c, opaqueTags: o.OpaqueETags}
	b.limits = sluice.Limits{
		MinPart: minPart, MaxPart: maxPart,
		MinParts: 1, MaxParts: defaultMaxParts,
		MaxFile: defaultMaxFile, MaxSingle: maxPart,
		EqualParts:  o.EqualParts,
		Resumable:   true,
		PartDigests: c.protection.partDigests(),
	}
	if o.MaxParts > 0 {
		b.limits.MaxParts = o.MaxParts
	}
	if o.MaxFile > 0 {
		b.limits.MaxFile = o.MaxFile
		b.limits.MaxSingle = min(b.limits.MaxSingle, o.MaxFile)
	}
	return b, nil
}

// With returns a handle of the same bucket whose files are stored with the
// options. Options that cannot be are refused by Check.
func (b *Backend) With(options FileOptions) *Backend {
	handle := *b
	handle.options = options
	return &handle
}

// String is "s3://" and the bucket.
func (b *Backend) String() string { return "s3://" + b.client.bucket }

// Format prints [Backend.String] for every verb: a Backend holds credentials and keys.
func (b Backend) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.String()) }

// Limits are those of Amazon S3, but for what [Options] says.
func (b *Backend) Limits() sluice.Limits {
	l := b.limits
	l.PartDigests = slices.Clone(l.PartDigests)
	return l
}

// Check refuses names over 1024 bytes, with control characters, or with
// segments that servers resolve; metadata over 2 KiB or that headers cannot
// carry; sizes over the limit; and options that cannot be.
func (b *Backend) Check(spec sluice.FileSpec) error {
	_, err := b.describe(spec)
	return err
}

// describe validates a file, and makes the headers of the call that begins it.
func (b *Backend) describe(spec sluice.FileSpec) (http.Header, error) {
	h := make(http.Header)
	err := cmp.Or(b.options.validate(), checkName(spec.Name), checkSize(spec.Size, b.limits.MaxFile),
		checkHeaderText("content type", spec.ContentType), setInfo(h, spec.Metadata, !b.options.OmitSluiceID))
	if err != nil {
		return nil, fmt.Errorf("s3backend: %w", err)
	}
	if spec.ContentType != "" {
		h.Set("Content-Type", spec.ContentType)
	}
	b.options.setHeaders(h)
	return h, nil
}

// Look asks for the bucket, so that a wrong name, region or endpoint shows before
// the first byte is sent. Credentials that may only write are not told whether
// there is a bucket, and nil is returned for them.
func (b *Backend) Look(ctx context.Context) error {
	k := &call{name: "HeadBucket", method: http.MethodHead, read: func(http.Header, io.Reader) error { return nil }}
	// An answer to HEAD has no code, and any other call is repeated if it fails
	// without one.
	err := b.client.ask(ctx, k)
	e, answered := errors.AsType[*Error](err)
	if err != nil && (!answered || e.Status/100 == 5 || e.Status == http.StatusTooManyRequests) {
		err = b.client.do(ctx, k)
		e, answered = errors.AsType[*Error](err)
	}
	switch {
	case !answered || e.Status/100 == 5 || e.Status/100 == 3 || e.Status == http.StatusBadRequest || e.Status == http.StatusTooManyRequests:
	case e.Status == http.StatusNotFound:
		err = fmt.Errorf("there is no bucket %q: %w", b.client.bucket, err)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("s3backend: %w", err)
	}
	return nil
}

// head asks once for the finished file of that name, which was sent with sum. It
// takes the permission to read it (s3:GetObject).
func (b *Backend) head(ctx context.Context, name string, sum checksum) (object, error) {
	var o object
	k := b.headCall(name, func(h http.Header) error { return o.read(h, sum) })
	err := b.client.protection.asking(k.header, func() error { return b.client.ask(ctx, k) })
	return o, err
}

func (b *Backend) headCall(name string, read func(http.Header) error) *call {
	k := b.about(name, http.MethodHead, "HeadObject")
	b.options.Encryption.setCustomer(k.header)
	k.read = func(h http.Header, _ io.Reader) error { return read(h) }
	return k
}

func (b *Backend) about(name, method, title string) *call {
	return &call{name: title, method: method, key: name, header: make(http.Header), secrets: b.options.Encryption.secrets()}
}
