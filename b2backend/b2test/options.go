package b2test

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

const (
	defaultMinPartSize         = 5_000_000   // documented, recorded in authorize
	defaultRecommendedPartSize = 100_000_000 // documented, recorded in authorize
	maxPartSize                = 5_000_000_000
	maxParts                   = 10_000
	tokenLifetime              = 24 * time.Hour // documented, for account tokens and upload URLs
	defaultBucket              = "test-bucket"
)

// fileOptions are what Options.Ignore may name.
var fileOptions = []string{"contentType", "fileInfo", "fileRetention", "legalHold", "serverSideEncryption", "customUploadTimestamp"}

// Options configure a [Server]. The zero value, and a nil pointer, are a strict
// server on a free port of 127.0.0.1.
type Options struct {
	// Addr is where the authorize endpoint listens; empty means a free port of
	// 127.0.0.1. The API, upload and download endpoints take free ports of the
	// same host.
	Addr string

	// Exposed allows an Addr that other machines may reach. Without it Start
	// refuses one other than a loopback address: the server is made for tests,
	// and keeps in memory, without a limit, what it is sent.
	Exposed bool

	// Listen opens the four endpoints, as net.Listen does, which nil means.
	// With listeners in memory a test of virtual time can have the server in
	// its bubble; with wrapped ones it can meddle with connections.
	Listen func(network, address string) (net.Listener, error)

	// Bucket names the bucket made at start; empty means "test-bucket".
	Bucket string

	// TLS makes every endpoint https, by a certificate that [Server.Certificate] returns.
	TLS bool

	// MinPartSize is the least size in bytes of every part but the last,
	// advertised in authorize and checked at finish; 0 means 5,000,000.
	MinPartSize int64

	// RecommendedPartSize is advertised in authorize; 0 means 100,000,000, or
	// MinPartSize where that is more.
	RecommendedPartSize int64

	// Discard keeps sizes and digests only. Downloads of such content, and
	// copies of a range of it, answer 500.
	Discard bool

	// TrustSHA1 believes the digest a client sends instead of hashing what
	// arrives, so that the server costs a benchmark no processor time. The
	// contentMd5 of such uploads is null. A body sent with do_not_verify is
	// hashed all the same, because its answer needs the digest.
	TrustSHA1 bool

	// Now is the server's clock; nil means time.Now. It must be safe for
	// concurrent use. See also [Server.Advance].
	Now func() time.Time

	// Latency is slept, in real time, before each request is worked on. What it
	// asks for is read by then, and an upload URL is taken; the body of an
	// upload is read afterwards. What goes wrong before, a path that names no
	// call or a token that no upload URL has, is answered at once.
	Latency time.Duration

	// Bandwidth limits each connection, in bytes of body per second and
	// direction, in real time; 0 means no limit.
	Bandwidth int64

	// CustomTimestamps allows customUploadTimestamp, which the service allows
	// to few accounts (documented).
	CustomTimestamps bool

	// Ignore names options of files that are accepted and not done: contentType,
	// fileInfo, fileRetention, legalHold, serverSideEncryption,
	// customUploadTimestamp. The service does no such thing; a client should notice
	// a store that does.
	Ignore []string

	// MaxAuthorize is how many authorize calls within one minute [Server.Check]
	// tolerates; 0 means 20, the service's own limit (reported), a negative
	// number any. The server does not refuse them: inject a 429 for that.
	MaxAuthorize int

	// MaxUploadURLs is how many upload URLs in all [Server.Check] tolerates; 0 means any number.
	MaxUploadURLs int

	// Uncertain picks among behaviours that could not be confirmed.
	Uncertain Uncertain
}

// Uncertain holds switches for what is not known of the real service. The zero
// value is the stricter or the likelier behaviour; a client should work with
// each switch in both positions.
type Uncertain struct {
	// FinishBadRequest makes finish refuse missing parts and wrong digests with
	// the code bad_request in place of missing_part and part_sha1_mismatch.
	FinishBadRequest bool

	// URLSurvives400 keeps an upload URL alive after it answered 400. A 5xx,
	// 408 or 401 ends it in any case.
	URLSurvives400 bool

	// DeadURL503 answers 503 in place of 401 on an upload URL that has refused an upload.
	DeadURL503 bool

	// OldLimits enforces the rules of older documentation: no leading, trailing
	// or doubled slash and no backslash in names, segments of at most 250
	// bytes, at most 10 keys in fileInfo.
	OldLimits bool

	// LoginUnauthorized answers a bad login with the code unauthorized in place
	// of bad_auth_token (recorded on v2).
	LoginUnauthorized bool

	// FileInfo400 answers get_file_info for an unfinished large file with 400
	// bad_request in place of 404 not_found.
	FileInfo400 bool
}

// withDefaults returns a copy of o with every zero value replaced, or an error
// that names the value and its limit.
func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if opts.Listen == nil {
		opts.Listen = net.Listen
	}
	if opts.Bucket == "" {
		opts.Bucket = defaultBucket
	}
	if opts.MinPartSize == 0 {
		opts.MinPartSize = defaultMinPartSize
	}
	if opts.RecommendedPartSize == 0 {
		opts.RecommendedPartSize = max(defaultRecommendedPartSize, opts.MinPartSize)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.MaxAuthorize == 0 {
		opts.MaxAuthorize = 20
	}
	for _, name := range opts.Ignore {
		if !slices.Contains(fileOptions, name) {
			return opts, fmt.Errorf("b2test: Ignore names %q, which is none of %q", name, fileOptions)
		}
	}
	switch {
	case !opts.Exposed && !localserver.Loopback(opts.Addr):
		return opts, fmt.Errorf("b2test: Addr %q may be reached by other machines; use a loopback address, or set Exposed", opts.Addr)
	case opts.MinPartSize < 1 || opts.MinPartSize > maxPartSize:
		return opts, fmt.Errorf("b2test: MinPartSize %d is not within 1 and %d", opts.MinPartSize, int64(maxPartSize))
	case opts.RecommendedPartSize < opts.MinPartSize || opts.RecommendedPartSize > maxPartSize:
		return opts, fmt.Errorf("b2test: RecommendedPartSize %d is not within MinPartSize %d and %d",
			opts.RecommendedPartSize, opts.MinPartSize, int64(maxPartSize))
	case opts.Latency < 0:
		return opts, fmt.Errorf("b2test: Latency %v is negative", opts.Latency)
	case opts.Bandwidth < 0:
		return opts, fmt.Errorf("b2test: Bandwidth %d is negative", opts.Bandwidth)
	}
	return opts, nil
}
