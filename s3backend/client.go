package s3backend

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// answerLimits bound an answer. The longest are pages of 1000 parts or uploads,
// of some stores of 10,000, with keys of 1024 bytes that may be escaped to
// three times that.
var answerLimits = decode.Limits{Bytes: 8 << 20, Elements: 1 << 17, List: 10_100}

// unsigned stands for the digest of bytes that the signature leaves out (SigV4: documented).
const unsigned = "UNSIGNED-PAYLOAD"

// unescaped are the characters beside letters and digits that Signature Version
// 4 leaves in a path (documented). What is sent is what is signed.
const unescaped = "-._~/"

// retrying is what the log says of a failure that is followed by another
// attempt. The failure names the call.
const retrying = "s3: retrying"

// call is one request to the store, as it is before signing. It may be sent any number of times.
type call struct {
	name   string // as the API reference has it
	method string
	key    string // "" is the bucket
	query  url.Values
	header http.Header
	// it assembles a file, which may take several minutes (S3 API reference:
	// documented)
	slow bool
	// passing is the code of a failure that is worth another attempt of this
	// call alone, "" for none.
	passing string
	// unknown: a store that does not know the call may answer with the file itself, which
	// is not asked for again.
	unknown bool

	body []byte       // or
	part *sluice.Part // with sum
	sum  string       // of the part: its SHA-256 in hex, or unsigned

	secrets []string // cut from errors, beside the credentials

	// read takes a successful answer. An error means that it is not usable.
	read func(header http.Header, body io.Reader) error

	status int // of the answer that was read
}

// client carries calls to one bucket. It is shared by all handles of a Backend.
type client struct {
	transport   http.RoundTripper
	base        url.URL // of the bucket
	bucket      string
	inHost      bool // the bucket is in the host name, of an endpoint other than Amazon's
	region      string
	credentials aws.CredentialsProvider
	had         atomic.Bool // there have been credentials
	// nanoseconds that the store's clock is ahead of this machine's, if it has
	// complained
	ahead      atomic.Int64
	userAgent  string
	log        *slog.Logger
	policy     retry.Policy
	protection *protection
}

// do makes a call that may be repeated, with retries.
func (c *client) do(ctx context.Context, k *call) error {
	err := c.policy.Within(ctx).Do(ctx, c.retries(k), func(ctx context.Context, try *retry.Attempt) error {
		return c.send(ctx, k, try)
	})
	return named(k, err)
}

// ask is do without retries, for look-ups: what needs them repeats them.
func (c *client) ask(ctx context.Context, k *call) error {
	once := c.policy.Within(ctx)
	once.Attempts = 1
	return once.Do(ctx, c.retries(k), func(ctx context.Context, try *retry.Attempt) error {
		return c.send(ctx, k, try)
	})
}

// commit makes a call that must not be repeated blindly. how says what is known
// about it.
func (c *client) commit(ctx context.Context, k *call, how retry.Commit) (retry.Result, error) {
	how.Call = c.retries(k)
	others := false // the file that is there is another upload's
	how.Send = func(ctx context.Context, try *retry.Attempt) error {
		err := c.send(ctx, k, try)
		if isThere(err) && how.Lookup != nil {
			_, seen := how.Lookup(ctx, err)
			others = errors.Is(seen, errOthers)
		}
		return err
	}
	classify := how.Classify
	how.Classify = func(err error) retry.Verdict {
		v := classify(err)
		if v.Outcome == retry.Conflict && others {
			v.Outcome = retry.NotDone
		}
		return v
	}
	policy := c.policy
	if k.slow {
		policy = policy.Slow()
	}
	result, err := policy.Commit(ctx, how)
	return result, named(k, err)
}

// commitAfter makes a call in another form, after one with the result before, which may have been
// done. A first call has NotDone before it.
func (c *client) commitAfter(ctx context.Context, before retry.Result, k *call, how retry.Commit) (retry.Result, error) {
	result, err := c.commit(ctx, k, how)
	if result.Lost == nil {
		result.Lost = before.Lost
	}
	if result.Outcome == retry.NotDone && before.Outcome == retry.Unknown {
		result.Outcome, err = retry.Unknown, fmt.Errorf("%w: %w", how.Doubt, err)
	}
	return result, err
}

func (c *client) retries(k *call) retry.Call {
	var backoff retry.Backoff
	if k.part != nil {
		backoff = k.part.Backoff
	}
	found := classifier{client: c, passing: k.passing, unknown: k.unknown}
	return retry.Call{Classify: found.classify, Backoff: retry.Logged(c.log, retrying, backoff)}
}

// send signs and sends a call once. The error is an *Error, an *[httpx.AnswerError] or an
// *[httpx.TransportError]; or the credentials' own.
func (c *client) send(ctx context.Context, k *call, try *retry.Attempt) error {
	req, x, err := c.signed(ctx, k)
	if err != nil {
		return err
	}
	var body io.Reader
	x.Refused = func(resp *http.Response) error {
		// A store that takes long to assemble a file sends status 200 before it
		// knows (S3 API reference, CompleteMultipartUpload: documented).
		var root string
		root, body = decode.Root(resp.Body)
		if resp.StatusCode < 200 || resp.StatusCode > 299 || root == "Error" {
			// An error with a garbled body is still that error.
			return readError(k.name, resp, body, x.Secrets)
		}
		return nil
	}
	if k.part == nil {
		// The body is small, so it counts as out as soon as it is begun.
		try.Sent()
		if len(k.body) > 0 {
			req.Body = io.NopCloser(bytes.NewReader(k.body))
		}
	}
	return c.hintPathStyle(x.Send(c.transport, req, k.part, try, func(resp *http.Response) error {
		k.status = resp.StatusCode
		err := k.read(resp.Header, body)
		return cmp.Or(httpx.Broke(resp), err)
	}))
}

// signed returns a request to send, and how.
func (c *client) signed(ctx context.Context, k *call) (*http.Request, *httpx.Call, error) {
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.name, err)
	}
	req, err := c.request(ctx, k, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.name, httpx.Clean(err))
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	return req, &httpx.Call{Name: k.name, Secrets: append([]string{keys.SecretAccessKey, keys.SessionToken, signature}, k.secrets...)}, nil
}

// hintPathStyle says what to set where a store of the user's own does not know the bucket, or its
// host name, because the bucket is in the host name.
func (c *client) hintPathStyle(err error) error {
	e, unknownHost := errors.AsType[*net.DNSError](err)
	if c.inHost && (unknownHost && e.IsNotFound || noBucket(err)) {
		return fmt.Errorf("%w (if the store wants the bucket in the path, set Options.PathStyle)", err)
	}
	return err
}

// noBucket reports whether the store answered that there is no such bucket. The
// answer to HEAD has no code.
func noBucket(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return hasCode(err, "NoSuchBucket") || ok && e.Call == "HeadBucket" && e.Status == http.StatusNotFound
}

// request is a call signed by Signature Version 4, with the digest of its payload known in advance.
func (c *client) request(ctx context.Context, k *call, credentials aws.Credentials) (*http.Request, error) {
	u := c.base
	if k.key != "" {
		u.Path += "/" + k.key
	} else {
		u.Path += "/"
	}
	u.RawPath = httpx.Escape(u.Path, unescaped)
	u.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.URL = &u
	if k.header != nil {
		req.Header = k.header.Clone()
	}
	sum := k.sum
	if k.part != nil {
		req.ContentLength = k.part.Size
	} else {
		req.ContentLength = int64(len(k.body))
		digest := sha256.Sum256(k.body)
		sum = hex.EncodeToString(digest[:])
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("X-Amz-Content-Sha256", sum)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return req, signer.SignHTTP(ctx, credentials, req, sum, "s3", c.region, c.now())
}

// now is the store's time, as far as it is known.
func (c *client) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// date is the store's time in the headers of an answer.
func (c *client) date(h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return c.now()
}
