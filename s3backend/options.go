package s3backend

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/secret"
)

// shown has what is printed of credentials and encryption: a name.
type shown = secret.Name

// Credentials are what requests are signed with. They are shown by no formatter,
// encoder, log or error, wherever they are. The zero value stands for the usual
// chain of the AWS environment and files: variables, profile, web identity,
// container, instance.
type Credentials struct {
	shown
	provider secret.Value[aws.CredentialsProvider]
}

// NewCredentials returns the credentials that a provider issues.
func NewCredentials(provider aws.CredentialsProvider) Credentials {
	return Credentials{secret.Named("s3 credentials"), secret.New(provider)}
}

// Options are how a store is reached. The zero value, or nil, is Amazon S3 with
// what the usual AWS environment and files say.
type Options struct {
	// Endpoint is the URL of the store, without the bucket. "" is
	// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the endpoint_url of s3 in the
	// profile's services or that of the profile, unless
	// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS or the profile says to ignore them, and
	// without any of them Amazon S3 in the region: its FIPS or dual-stack endpoint
	// where AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT or the profile asks for
	// it. Together with an endpoint these two are an error.
	Endpoint string
	// Region is what requests are signed for. "" is what the AWS environment
	// and files say, and for an endpoint given where they say nothing
	// "us-east-1".
	Region string
	// PathStyle puts the bucket in the path instead of the host name. That is
	// done without asking where a host name cannot carry it: for an IP address,
	// for localhost, and for a bucket whose name has a dot or is no host name.
	PathStyle bool

	// Credentials sign the requests.
	Credentials Credentials

	// AllowPlainHTTP permits an endpoint of plain http off this machine.
	// Signatures, customer keys and the data are then readable on the network.
	AllowPlainHTTP bool
	// Checksum selects the digest that bytes are sent with. The default suits every
	// store that is known.
	Checksum Checksum

	// MaxParts is the most parts of a large file. 0 is 10,000; some stores take 1,000.
	MaxParts int
	// MaxFile is the largest file in bytes. 0 is 5 TiB.
	MaxFile int64

	// EqualParts configures a store whose large files have parts of one size, the
	// last one excepted, which is not larger. It is set for Cloudflare R2, by the
	// endpoint's name. A stream is then as long as MaxParts parts of its first
	// size carry: set the stream's PartSize, MaxSize or Size for a longer one.
	EqualParts bool

	// OpaqueETags says that the store makes the ETags of large files in its own way,
	// and not of the ETags of the parts, or that those of the parts are not MD5s of
	// their bytes. They are not compared then. It is needed for Alibaba OSS and Lyve
	// Cloud.
	OpaqueETags bool

	// Transport carries the requests. nil is one of the Backend's own:
	// HTTP/1.1, so that each upload has a connection to itself, with as many
	// idle connections as there are uploads. It trusts the certificates of
	// AWS_CA_BUNDLE, or of the profile's ca_bundle, in place of the machine's. Of an
	// [http.Client] give the Transport: redirects are not followed and no cookies
	// are kept.
	Transport http.RoundTripper

	// UserAgent is put before the package's own.
	UserAgent string

	// Logger is told of retries, at debug level, of checksums that the store rejects
	// or does not confirm, at info level, and of starts whose answer was lost, as
	// warnings. nil is silent. Credentials and signatures are never
	// logged.
	Logger *slog.Logger

	// Retry is how failures are met.
	Retry sluice.Retry
}

// Limits of Amazon S3 (S3 user guide, "Multipart upload limits": documented).
// It has taken larger files than 5 TiB since, other stores have not.
const (
	minPart         = 5 << 20
	maxPart         = 5 << 30
	defaultMaxParts = 10_000
	defaultMaxFile  = 5 << 40
)

// resolve fills the defaults, from the AWS environment and files where they are
// asked, and validates.
func (o *Options) resolve(ctx context.Context, bucket string) (*client, Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	switch {
	case bucket == "" || strings.ContainsAny(bucket, "/?#%\\ ") || strings.ContainsFunc(bucket, notPrintable):
		return nil, r, fmt.Errorf("s3backend: bucket name %q is invalid: it must not be empty or contain spaces, control characters,"+
			" non-ASCII characters or any of /?#%%\\", bucket)
	case r.MaxParts < 0:
		return nil, r, fmt.Errorf("s3backend: Options.MaxParts %d is negative", r.MaxParts)
	case r.MaxFile < 0:
		return nil, r, fmt.Errorf("s3backend: Options.MaxFile %d is negative", r.MaxFile)
	}
	if err := retry.Of(r.Retry).Validate(); err != nil {
		return nil, r, fmt.Errorf("s3backend: %w", err)
	}
	roots, err := r.ask(ctx)
	if err != nil {
		return nil, r, err
	}
	endpoint, err := httpx.CheckEndpoint(r.Endpoint, r.AllowPlainHTTP)
	if err != nil {
		return nil, r, fmt.Errorf("s3backend: endpoint: %w", err)
	}
	secure := endpoint.Scheme == "https"
	sums, err := r.Checksum.checksums(secure)
	if err != nil {
		return nil, r, fmt.Errorf("s3backend: %w", err)
	}
	if r.Transport == nil {
		transport := httpx.NewTransport()
		if roots != nil {
			transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		}
		r.Transport = transport
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.UserAgent != "" {
		r.UserAgent += " "
	}
	r.UserAgent += "sluice-s3backend"
	c := &client{
		transport: r.Transport, bucket: bucket, region: r.Region, credentials: r.Credentials.provider.Reveal(),
		userAgent: r.UserAgent, log: r.Logger, policy: retry.Of(r.Retry),
		protection: &protection{list: sums, confirmed: make([]atomic.Bool, len(sums)), secure: secure, log: r.Logger},
	}
	c.place(endpoint, r.PathStyle)
	// Of every jurisdiction (Cloudflare R2, "S3 API compatibility": documented).
	r.EqualParts = r.EqualParts || strings.HasSuffix(strings.ToLower(endpoint.Hostname()), ".r2.cloudflarestorage.com")
	return c, r, nil
}

// ask fills what is not said from the AWS environment and files, if anything is
// missing. It returns the certificates that they say to trust, or nil.
func (o *Options) ask(ctx context.Context) (roots *x509.CertPool, err error) {
	provider := o.Credentials.provider.Reveal()
	if o.Endpoint == "" || o.Region == "" || provider == nil {
		said, err := environment(ctx)
		if err != nil {
			return nil, fmt.Errorf("s3backend: reading the AWS environment and files: %w", err)
		}
		o.Region = cmp.Or(o.Region, said.Region)
		if err := o.findEndpoint(ctx, said); err != nil {
			return nil, err
		}
		roots = trusted(said)
		if provider == nil {
			if err := checkEnvironment(); err != nil {
				return nil, err
			}
			provider = &chain{provider: said.Credentials}
		}
	}
	o.Region = cmp.Or(o.Region, "us-east-1")
	if _, cached := provider.(invalidator); !cached {
		provider = aws.NewCredentialsCache(provider)
	}
	o.Credentials = NewCredentials(provider)
	return roots, nil
}

// hostLabel is a bucket name that can stand before a host name and be covered by its certificate.
var hostLabel = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

func (c *client) place(endpoint *url.URL, pathStyle bool) {
	c.base = url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: strings.TrimSuffix(endpoint.Path, "/")}
	host := endpoint.Hostname()
	if pathStyle || host == "localhost" || net.ParseIP(host) != nil || !hostLabel.MatchString(c.bucket) {
		c.base.Path += "/" + c.bucket
	} else {
		c.base.Host = c.bucket + "." + c.base.Host
		c.inHost = !strings.Contains(host, ".amazonaws.com")
	}
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }
