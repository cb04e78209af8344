package blendvisionbackend

import (
	"crypto/fips140"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"

	"github.com/c1508ce4/sluice"
)

// Documented limits, in bytes.
const (
	minPart = 5 << 20        // the last part may be smaller
	maxPart = 5 << 30        // 5 GiB
	maxFile = 70_000_000_000 // 70 GB, stated for audio and video
)

// sha1Algorithm makes the checksum that completes an upload.
var sha1Algorithm = sluice.Algorithm{Name: "sha1", New: sha1.New}

// Backend stores files in one organization's library. It is a [sluice.Backend]
// and a [sluice.Source], and may be used concurrently. All handles that
// [Backend.With] returns share its connections.
type Backend struct {
	sluice.Unsupported // there is no upload in one call and nothing to resume

	client  *client
	minPart int64 // the service's smallest part; tests of many uploads make it smaller
	options FileOptions
}

var _ sluice.Backend = (*Backend)(nil)

// New returns the library that the credentials open. It sends nothing. The error
// names what is missing or out of range; an Endpoint is always needed. A program
// in strict FIPS 140-3 mode is refused.
func New(credentials Credentials, options *Options) (*Backend, error) {
	if fips140.Enforced() {
		return nil, errors.New("blendvisionbackend: the service takes no digest but SHA-1, which GODEBUG=fips140=only forbids; fips140=on allows it")
	}
	c, err := options.resolve(credentials)
	if err != nil {
		return nil, fmt.Errorf("blendvisionbackend: %w", err)
	}
	b := &Backend{client: c, minPart: minPart}
	return b.With(FileOptions{}), nil
}

// With returns a handle of the same library whose files are stored with the
// options. Options that cannot be are refused by Check.
func (b *Backend) With(options FileOptions) *Backend {
	handle := *b
	handle.options = options.withDefaults()
	return &handle
}

// Format prints the endpoint, for every verb: a Backend holds credentials.
func (b Backend) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "BlendVision library at "+b.client.endpoint)
}

// Limits are the documented ones: the service plans the parts, of 5 MiB to 5
// GiB, for files of up to 70 GB, and asks for the SHA-1 of the whole file. It
// documents no largest number of parts.
func (b *Backend) Limits() sluice.Limits {
	return sluice.Limits{
		MinPart: b.minPart, MaxPart: maxPart, MinParts: 1, MaxFile: maxFile, ServerSizesParts: true,
		WholeDigests: []sluice.Algorithm{sha1Algorithm},
	}
}

// Check refuses a file of unknown size, with [sluice.ErrSizeRequired], one that
// is empty or over 70 GB, a name or attributes that JSON cannot carry, and
// options that cannot be.
func (b *Backend) Check(spec sluice.FileSpec) error {
	_, err := b.describe(spec)
	return err
}

func (b *Backend) describe(spec sluice.FileSpec) (openFile, error) {
	f, err := b.options.describe(spec)
	if err != nil {
		err = fmt.Errorf("blendvisionbackend: %w", err)
	}
	return f, err
}
