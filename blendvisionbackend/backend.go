package blendvisionbackend

import (
	"crypto/fips140"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Documented limits, in bytes.
const (
	minPart = 5 << 20        // the last part may be smaller
	maxPart = 5 << 30        // 5 GiB
	maxFile = 70_000_000_000 // 70 GB, stated for audio and video
)

// sha1Algorithm makes the checksum that completes an upload.
var sha1Algorithm = sluice.Algorithm{Name: "sha1", New: sha1.New}

// FileOptions are what only this service has.
type FileOptions struct {
	// Type is FILE_TYPE_VIDEO, FILE_TYPE_IMAGE, FILE_TYPE_SUBTITLE, FILE_TYPE_DOCUMENT, FILE_TYPE_WEB_LINK or
	// FILE_TYPE_AUDIO (documented); "" means FILE_TYPE_VIDEO.
	Type string
	// Source is FILE_SOURCE_UPLOAD_IN_LIBRARY, FILE_SOURCE_ADD_VOD, FILE_SOURCE_ADD_AOD, FILE_SOURCE_LIVE_EVENT,
	// FILE_SOURCE_CLOUD_STORAGE_AWS, FILE_SOURCE_STT, FILE_SOURCE_AISK or FILE_SOURCE_GOOGLE_DRIVE (documented);
	// "" means FILE_SOURCE_UPLOAD_IN_LIBRARY.
	Source string
	// Attributes go with every file; of the same name, FileSpec.Info holds.
	Attributes map[string]string
}

var (
	fileTypes = []string{
		"FILE_TYPE_VIDEO", "FILE_TYPE_IMAGE", "FILE_TYPE_SUBTITLE", "FILE_TYPE_DOCUMENT", "FILE_TYPE_WEB_LINK",
		"FILE_TYPE_AUDIO",
	}
	fileSources = []string{
		"FILE_SOURCE_UPLOAD_IN_LIBRARY", "FILE_SOURCE_ADD_VOD", "FILE_SOURCE_ADD_AOD", "FILE_SOURCE_LIVE_EVENT",
		"FILE_SOURCE_CLOUD_STORAGE_AWS", "FILE_SOURCE_STT", "FILE_SOURCE_AISK", "FILE_SOURCE_GOOGLE_DRIVE",
	}
)

// Backend is a [sluice.Backend] for one organization's library. It may be used concurrently.
type Backend struct {
	sluice.Unsupported // there is no upload in one call and nothing to resume

	credentials Credentials
	opts        Options // resolved
	policy      retry.Policy
	minPart     int64 // the service's smallest part; tests of many uploads make it smaller
	file        FileOptions
}

var _ sluice.Backend = (*Backend)(nil)

// New returns a backend for the library that the credentials open. It sends nothing. The error names what is missing or
// out of range; an Endpoint is always needed. A program in strict FIPS 140-3 mode is refused.
func New(c Credentials, o *Options) (*Backend, error) {
	if fips140.Enforced() {
		return nil, errors.New("blendvisionbackend: the service takes no digest but SHA-1, which GODEBUG=fips140=only forbids; fips140=on allows it")
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("blendvisionbackend: %w", err)
	}
	opts, err := o.resolve()
	if err != nil {
		return nil, fmt.Errorf("blendvisionbackend: %w", err)
	}
	b := &Backend{credentials: c, opts: opts, policy: retry.Of(opts.Retry), minPart: minPart}
	return b.With(FileOptions{}), nil
}

// With returns a handle of the same library whose files have these options. The receiver is not changed.
// Values out of range are refused by Check.
func (b *Backend) With(o FileOptions) *Backend {
	handle := *b
	if o.Type == "" {
		o.Type = fileTypes[0]
	}
	if o.Source == "" {
		o.Source = fileSources[0]
	}
	o.Attributes = maps.Clone(o.Attributes)
	handle.file = o
	return &handle
}

// Format prints the endpoint, for every verb: a Backend holds credentials.
func (b Backend) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "BlendVision library at "+b.opts.Endpoint)
}

// Limits are the documented ones: the service plans the parts, of 5 MiB to 5 GiB, for files of up to 70 GB, and
// asks for the SHA-1 of the whole file. It documents no largest number of parts.
func (b *Backend) Limits() sluice.Limits {
	return sluice.Limits{
		MinPart: b.minPart, MaxPart: maxPart, MinParts: 1, MaxFile: maxFile, PlansParts: true,
		WholeDigests: []sluice.Algorithm{sha1Algorithm},
	}
}

// Check refuses a file of unknown size, with [sluice.ErrSizeRequired], one that is empty or over 70 GB, a name or
// attributes that JSON cannot carry, and [FileOptions] out of range.
func (b *Backend) Check(spec sluice.FileSpec) error {
	switch {
	case spec.Size == sluice.UnknownSize:
		return fmt.Errorf("blendvisionbackend: %w: the service plans the parts from it", sluice.ErrSizeRequired)
	case spec.Size < 1:
		return fmt.Errorf("blendvisionbackend: size %d: the service takes no file of fewer than 1 byte", spec.Size)
	case spec.Size > maxFile:
		return fmt.Errorf("blendvisionbackend: size %d is over the service's largest file of %d bytes: %w",
			spec.Size, int64(maxFile), sluice.ErrTooLarge)
	case spec.Name == "":
		return errors.New("blendvisionbackend: the name is empty")
	case !utf8.ValidString(spec.Name):
		return fmt.Errorf("blendvisionbackend: name %q is not UTF-8", spec.Name)
	case !slices.Contains(fileTypes, b.file.Type):
		return fmt.Errorf("blendvisionbackend: FileOptions.Type %q is none of %s", b.file.Type, strings.Join(fileTypes, ", "))
	case !slices.Contains(fileSources, b.file.Source):
		return fmt.Errorf("blendvisionbackend: FileOptions.Source %q is none of %s", b.file.Source, strings.Join(fileSources, ", "))
	}
	for name, value := range b.attributes(spec) {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fmt.Errorf("blendvisionbackend: attribute %q: %q has no name or is not UTF-8", name, value)
		}
	}
	return nil
}

// attributes are those of the handle and of the file.
func (b *Backend) attributes(spec sluice.FileSpec) map[string]string {
	all := maps.Clone(b.file.Attributes)
	if all == nil {
		return spec.Info
	}
	maps.Copy(all, spec.Info)
	return all
}
