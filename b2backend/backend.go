package b2backend

import (
	"cmp"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/sha1mb"
)

// Limits of the service (documented; of 5 GB and 5 GiB, which its pages both
// name, the smaller).
const (
	maxPart  = 5_000_000_000
	minParts = 2
	maxParts = 10_000
	maxFile  = 10_000_000_000_000
)

// Backend stores files in one bucket. It is a [sluice.Backend] and may be used
// concurrently. All handles that [Backend.With] returns share its login, its
// connections and its upload URLs.
type Backend struct {
	client *client
	urls   *urlList // for single uploads to the bucket
	bucket bucket
	// locked means that the bucket has Object Lock or encrypts by default,
	// which shrinks the metadata; unlocked, that it has neither. Both are false
	// if the key cannot see it.
	locked, unlocked bool
	limits           sluice.Limits
	// first is the account at the first login, whose restrictions hold for the
	// life of the key.
	first   *account
	options FileOptions
}

var _ sluice.Backend = (*Backend)(nil)

// New logs in and looks the bucket up by its name. A key restricted to buckets
// must be allowed this one; any other needs the capability listBuckets. Empty
// credentials are an error before anything is sent, and so is a program in
// strict FIPS 140-3 mode. Options may be nil.
func New(ctx context.Context, credentials Credentials, bucketName string, options *Options) (*Backend, error) {
	if fips140.Enforced() {
		return nil, errors.New("b2backend: the service takes no digest but SHA-1, which GODEBUG=fips140=only forbids; fips140=on allows it")
	}
	if bucketName == "" {
		return nil, errors.New("b2backend: bucket name is empty")
	}
	if err := credentials.check(); err != nil {
		return nil, fmt.Errorf("b2backend: %w", err)
	}
	o, err := options.resolve()
	if err != nil {
		return nil, err
	}
	c := &client{
		transport: o.Transport, hosts: httpx.NewHosts(o.Endpoint, o.AllowPlainHTTP, o.Domains), userAgent: o.UserAgent, log: o.Logger,
		policy:  retry.Of(o.Retry),
		session: &session{credentials: credentials, renew: o.Renew, endpoint: strings.TrimSuffix(o.Endpoint, "/")},
	}
	first, err := c.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("b2backend: logging in with key %q: %w", credentials.keyID, err)
	}
	b := &Backend{client: c, first: first}
	if err := b.findBucket(ctx, bucketName); err != nil {
		return nil, fmt.Errorf("b2backend: bucket %q: %w", bucketName, err)
	}
	b.urls = &urlList{client: c, method: getUploadURL, request: bucketRequest{b.bucket.ID}}
	b.limits = sluice.Limits{
		MinPart: first.minPart, MaxPart: maxPart,
		MinParts: minParts, MaxParts: maxParts,
		MaxFile: maxFile, MaxSingle: maxPart,
		Resumable:   true,
		PartDigests: []sluice.Algorithm{sha1mb.Algorithm()},
	}
	return b, nil
}

// findBucket resolves the name. The list of a restricted key is in its login;
// asking for it again would be refused (reported).
func (b *Backend) findBucket(ctx context.Context, name string) error {
	if !b.first.anyBucket {
		i := slices.IndexFunc(b.first.buckets, func(allowed bucket) bool { return allowed.Name == name })
		if i < 0 {
			names := make([]string, len(b.first.buckets))
			for i, allowed := range b.first.buckets {
				names[i] = allowed.Name
			}
			return fmt.Errorf("the key is restricted to other buckets: %s", httpx.Present(fmt.Sprintf("%q", names)))
		}
		b.bucket = b.first.buckets[i]
		return nil
	}
	var answer listBucketsAnswer
	k := &call{method: listBuckets, request: listBucketsRequest{b.first.id, name}, read: into(&answer, nil)}
	if err := b.client.do(ctx, k); err != nil {
		return err
	}
	for _, found := range answer.Buckets {
		if found.BucketName == name {
			b.bucket = bucket{ID: found.BucketID, Name: name}
			b.locked = found.FileLock.Value.Enabled || found.Encryption.Value.Mode != ""
			b.unlocked = found.FileLock.Readable && found.Encryption.Readable && !b.locked
			return nil
		}
	}
	return fmt.Errorf("there is none of that name in account %s", b.first.id)
}

// With returns a handle of the same bucket whose files are stored with the
// options. Options that cannot be are refused by Check.
func (b *Backend) With(options FileOptions) *Backend {
	handle := *b
	handle.options = options
	return &handle
}

// brief returns a handle for look-ups: what needs them repeats them.
func (b *Backend) brief() *Backend {
	handle := *b
	client := *b.client
	// the second one is for a token that has expired
	client.policy.Attempts, client.policy.Budget = 2, 0
	handle.client = &client
	return &handle
}

// String is "b2://" and the bucket.
func (b *Backend) String() string { return "b2://" + b.bucket.Name }

// Format prints [Backend.String] for every verb: a Backend holds credentials
// and keys.
func (b Backend) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.String()) }

// Limits are the service's, with the minimum part size that it answered at
// login.
func (b *Backend) Limits() sluice.Limits {
	l := b.limits
	l.PartDigests = slices.Clone(l.PartDigests)
	return l
}

// Check rejects names over 1024 bytes, with control characters, or outside what
// the key is restricted to; metadata keys over 50 bytes or with characters that
// the service does not take; name and metadata over 7000 bytes together, 2048
// with encryption or Object Lock; and options that contradict each other.
func (b *Backend) Check(spec sluice.FileSpec) error {
	_, err := b.describe(spec)
	return err
}

type description struct {
	name        string
	contentType string
	info        map[string]string // without the tag
	tag         string            // "" if there is no room for one
}

// describe validates a file and works out what is sent of it.
func (b *Backend) describe(spec sluice.FileSpec) (*description, error) {
	d := &description{name: spec.Name, contentType: cmp.Or(spec.ContentType, autoType)}
	info, err := b.options.info(spec)
	err = cmp.Or(b.options.validate(), checkName(spec.Name), b.checkPrefix(spec.Name), checkSize(spec.Size),
		checkContentType(d.contentType), b.checkTimestamp(), err, checkInfo(info), b.checkKey())
	if err != nil {
		return nil, fmt.Errorf("b2backend: %w", err)
	}
	d.info = info
	limit := maxHeaders
	if b.locked || b.options.Encryption.mode != "" || b.options.Retention.Mode != "" || b.options.LegalHold != "" {
		limit = maxLockedHeaders
	}
	size := headerBytes(d.name, d.info)
	if size > limit {
		return nil, fmt.Errorf("b2backend: name and info of %q are %d bytes, over the limit of %d bytes", d.name, size, limit)
	}
	if !b.unlocked {
		limit = maxLockedHeaders
	}
	if tag := rand.Text(); !b.options.OmitSluiceID && len(d.info) < maxInfo && size+len(tagKey)+len(tag) <= limit {
		d.tag = tag
	}
	return d, nil
}

func (b *Backend) checkKey() error {
	for capability, needed := range map[string]bool{
		"writeFiles":          true,
		"writeFileRetentions": b.options.Retention.Mode != "",
		"writeFileLegalHolds": b.options.LegalHold != "",
	} {
		if needed && !b.first.can(capability) {
			return fmt.Errorf("the key lacks the capability %s", capability)
		}
	}
	return nil
}

func (b *Backend) checkTimestamp() error {
	if at := b.options.UploadTimestamp; !at.IsZero() && at.After(b.client.session.now().Add(time.Minute)) {
		return fmt.Errorf("UploadTimestamp %v is in the future", at)
	}
	return nil
}

func (b *Backend) checkPrefix(name string) error {
	if own := b.first.namePrefix; !strings.HasPrefix(name, own) {
		return fmt.Errorf("file name %q does not begin with %q, to which the key is restricted", name, own)
	}
	return nil
}

// autoType has the service choose a content type by the name's extension.
const autoType = "b2/x-auto"

// tagged is the info as it is sent.
func (d *description) tagged() map[string]string {
	info := maps.Clone(d.info)
	if d.tag != "" {
		info[tagKey] = d.tag
	}
	return info
}
