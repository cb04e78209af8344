package s3backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// maxAnswer bounds what is read of an answer, in bytes. The longest are pages of 1000 parts or uploads, with keys
// of 1024 bytes that may be escaped to three times that.
const maxAnswer = 8 << 20

// unsigned stands for the digest of bytes that the signature leaves out (SigV4: documented).
const unsigned = "UNSIGNED-PAYLOAD"

// unescaped are the characters beside letters and digits that Signature Version 4 leaves in a path (documented). What is
// sent is what is signed.
const unescaped = "-._~/"

// retrying is what the log says of a failure that is followed by another attempt. The failure names the call.
const retrying = "s3: retrying"

// call is one request to the store, as it is before signing. It may be sent any number of times.
type call struct {
	name   string // as the API reference has it
	method string
	key    string // "" is the bucket
	query  url.Values
	header http.Header
	slow   bool // it assembles a file, which may take several minutes (S3 API reference: documented)
	// passing is the code of a failure that is worth another attempt of this call alone, "" for none.
	passing string

	body []byte       // or
	part *sluice.Part // with sum
	sum  string       // of the part: its SHA-256 in hex, or unsigned

	secrets []string // cut from errors, beside the credentials

	// read takes a successful answer. An error means that it is not usable.
	read func(header http.Header, body []byte) error
}

// client carries calls to one bucket. It is shared by all handles of a Backend.
type client struct {
	transport   http.RoundTripper
	base        url.URL // of the bucket
	bucket      string
	region      string
	credentials aws.CredentialsProvider
	had         atomic.Bool // there have been credentials
	userAgent   string
	log         *slog.Logger
	policy      retry.Policy
}

// do makes a call that may be repeated, with retries.
func (c *client) do(ctx context.Context, k *call) error {
	return c.retry(ctx, k, nil, func(ctx context.Context) error {
		_, err := c.once(ctx, ctx, k)
		return err
	})
}

// retry tries a call by the policy. prepare is run before each attempt and may be nil; try is one attempt, as
// once makes it.
func (c *client) retry(ctx context.Context, k *call, prepare, try func(context.Context) error) error {
	j := judge{expired: c.expire, passing: k.passing}
	var backoff retry.Backoff
	if k.part != nil {
		backoff = k.part.Backoff
	}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Prepare: prepare, Judge: j.verdict, Backoff: retry.Logged(c.log, retrying, backoff),
	}, func(ctx context.Context, _ *retry.Attempt) error { return try(ctx) })
}

// once makes one attempt under the policy's limits, and tells whether the store may have the whole request. It
// ends with ctx until all is sent, and from then on with longer, so that an answer is not lost that only has to
// be waited for.
func (c *client) once(ctx, longer context.Context, k *call) (sent bool, err error) {
	policy := c.policy
	if k.slow {
		policy = policy.Slow()
	}
	size := int64(len(k.body))
	if k.part != nil {
		size = k.part.Size
	}
	return policy.OnceSent(ctx, longer, size, func(attempt context.Context, try *retry.Attempt) error {
		return c.send(attempt, k, try)
	})
}

// send signs and sends a call once. The error is an *Error, an *[exchange.AnswerError] or an
// *[exchange.TransportError]; or the credentials' own.
func (c *client) send(ctx context.Context, k *call, try *retry.Attempt) error {
	credentials, err := c.keys(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	req, err := c.request(ctx, k, credentials)
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, exchange.Clean(err))
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	secrets := append([]string{credentials.SecretAccessKey, credentials.SessionToken, signature}, k.secrets...)
	var refused error
	read := func(resp *http.Response) error {
		body, err := exchange.ReadAll(resp.Body, maxAnswer)
		switch {
		case resp.StatusCode < 200 || resp.StatusCode > 299:
			// An error with a garbled body is still that error.
			refused = readError(k.name, resp, body, secrets)
		case err != nil:
			return err
		case isError(body):
			refused = readError(k.name, resp, body, secrets)
		default:
			if err := k.read(resp.Header, body); err != nil {
				refused = &exchange.AnswerError{Call: k.name, Detail: exchange.Present(err.Error(), secrets...)}
			}
		}
		return nil
	}
	if k.part != nil {
		err = exchange.Send(c.transport, req, k.part, try, read)
	} else {
		// It is small, so it counts as out as soon as it is begun.
		try.Sent()
		if len(k.body) > 0 {
			req.Body = io.NopCloser(bytes.NewReader(k.body))
		}
		err = exchange.Do(c.transport, req, try, read)
	}
	if refused != nil {
		return refused
	}
	if err != nil {
		return &exchange.TransportError{Call: k.name, Err: exchange.Clean(err, secrets...)}
	}
	return nil
}

// request is a call signed by Signature Version 4, with the digest of its payload known in advance.
func (c *client) request(ctx context.Context, k *call, credentials aws.Credentials) (*http.Request, error) {
	u := c.base
	if k.key != "" {
		u.Path += "/" + k.key
	} else {
		u.Path += "/"
	}
	u.RawPath = exchange.Escape(u.Path, unescaped)
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
	return req, signer.SignHTTP(ctx, credentials, req, sum, "s3", c.region, time.Now())
}

// keys returns the credentials to sign with.
func (c *client) keys(ctx context.Context) (aws.Credentials, error) {
	keys, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &keysError{again: c.had.Load(), err: exchange.Clean(err)}
	}
	c.had.Store(true)
	return keys, nil
}

// keysError is a failure to get credentials. Who has had some before has but lost sight of who issues them; who has
// had none has forgotten to say where they are.
type keysError struct {
	again bool
	err   error
}

func (e *keysError) Error() string { return "credentials: " + e.err.Error() }

func (e *keysError) Unwrap() error { return e.err }

// expire has the credentials fetched anew.
func (c *client) expire() {
	if cache, ok := c.credentials.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
}
