package b2backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// apiVersion is 4 because keys made by it with a bucket restriction cannot log in on older versions, while it
// takes keys of every age (reported).
const apiVersion = "/b2api/v4/"

// maxAnswer bounds what is read of an answer, in bytes. The longest are pages of 1000 parts and of 100 files with
// 7000 bytes of metadata each.
const maxAnswer = 4 << 20

// method is an API call.
type method struct {
	name string
	slow bool // the server moves a file's bytes meanwhile, for 20 minutes perhaps (reported)
}

// Calls that may be made again though the answer to the first was lost.
var (
	listBuckets      = method{name: "b2_list_buckets"}
	getUploadURL     = method{name: "b2_get_upload_url"}
	getUploadPartURL = method{name: "b2_get_upload_part_url"}
	cancelLargeFile  = method{name: "b2_cancel_large_file"}
	listParts        = method{name: "b2_list_parts"}
	listUnfinished   = method{name: "b2_list_unfinished_large_files"}
	listVersions     = method{name: "b2_list_file_versions"}
	getFileInfo      = method{name: "b2_get_file_info"}
	copyPart         = method{name: "b2_copy_part", slow: true}
)

// Calls that must not: they go through callCarefully.
var (
	startLargeFile  = method{name: "b2_start_large_file"}
	finishLargeFile = method{name: "b2_finish_large_file", slow: true}
	copyFile        = method{name: "b2_copy_file", slow: true}
)

// client carries calls to one account. It is shared by all handles of a Backend.
type client struct {
	transport http.RoundTripper
	plainHTTP bool
	userAgent string
	log       *slog.Logger
	policy    retry.Policy
	session   session
}

// call makes an API call that may be repeated, with retries. request and answer are JSON; answer may be nil.
func (c *client) call(ctx context.Context, m method, request, answer any) error {
	return c.callFor(ctx, m, request, answer, func() error { return nil }, nil)
}

// callFor is call with a check, which says why an answer is not usable, and on behalf of a part, which hears of retries;
// backoff may be nil.
func (c *client) callFor(
	ctx context.Context, m method, request, answer any, check func() error, backoff retry.Backoff,
) error {
	var a *account
	j := judge{at: apiEndpoint, login: func() { c.session.expire(a) }}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			a, err = c.account(ctx)
			return err
		},
		Judge:   j.verdict,
		Backoff: c.backoff(backoff),
	}, func(ctx context.Context, _ *retry.Attempt) error {
		if err := c.post(ctx, a, m, request, answer); err != nil {
			return err
		}
		return check()
	})
}

// careful is an API call that must not be made again as long as the one before may have been done.
type careful struct {
	method
	request, answer any
	// check says why an answer is not usable.
	check func() error
	// settle looks what became of an attempt whose outcome is unknown, before there is another. nil means that
	// there is no way to look, and such an outcome is final.
	settle func(context.Context) (done bool, err error)
	// lost is set once the outcome of an attempt is unknown, and failure is how that showed.
	lost    bool
	failure error
	// abandoned is whether the last attempt was given up here, so that the service may still be at work on it.
	abandoned bool
	// silent is set once an attempt whose outcome is unknown brought no answer: none is known to come after the work.
	silent bool
}

// callCarefully makes the call, with retries while ctx lives. An attempt under way goes on as long as longer
// lives, so that its answer is not lost. Afterwards k.lost tells whether an attempt's outcome is unknown.
func (c *client) callCarefully(ctx, longer context.Context, k *careful) error {
	var a *account
	done := false
	j := judge{at: apiEndpoint, login: func() { c.session.expire(a) }}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			if k.lost {
				if done, err = k.settle(ctx); done || err != nil {
					return err
				}
			}
			a, err = c.account(ctx)
			return err
		},
		Judge: func(err error) retry.Verdict {
			if k.lost && k.settle == nil {
				return retry.Verdict{Action: retry.Stop}
			}
			return j.verdict(err)
		},
		Backoff: c.backoff(nil),
	}, func(context.Context, *retry.Attempt) error {
		if done {
			return nil
		}
		err := c.post(longer, a, k.method, k.request, k.answer)
		if err == nil {
			err = k.check()
		}
		k.abandoned = gaveUp(longer, err)
		if k.abandoned || wasLost(err) {
			k.lost, k.failure = true, err
			_, broke := errors.AsType[*exchange.TransportError](err)
			k.silent = k.silent || k.abandoned || broke
		}
		return err
	})
}

// gaveUp tells whether an attempt on ctx that failed with err was ended here, and not by the service or the network.
func gaveUp(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || retry.GaveUp(err))
}

// wasLost tells whether an API call that failed with err may have been done all the same.
func wasLost(err error) bool { return err != nil && decide(apiEndpoint, err).lost }

// backoff logs a retry and leaves the rest to next, which may be nil.
func (c *client) backoff(next retry.Backoff) retry.Backoff {
	return retry.Logged(c.log, "b2: retrying", next)
}

// post makes one attempt of an API call, under the limits of one.
func (c *client) post(ctx context.Context, a *account, m method, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	policy := c.policy
	if m.slow {
		policy = policy.Slow()
	}
	return policy.Once(ctx, 0, func(ctx context.Context, try *retry.Attempt) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.apiURL+apiVersion+m.name, bytes.NewReader(body))
		if err != nil {
			return exchange.Clean(err)
		}
		// The transport must not send the body a second time by itself.
		req.GetBody = nil
		req.Header.Set("Authorization", a.token)
		req.Header.Set("Content-Type", "application/json")
		return c.exchange(m.name, req, answer, func(req *http.Request, read func(*http.Response) error) error {
			return exchange.Do(c.transport, req, try, read)
		}, secretsOf(request)...)
	})
}

// exchange sends a request and reads its answer into answer, with errors of this package's types. secrets are
// cut from errors, beside the request's own authorization.
func (c *client) exchange(
	name string, req *http.Request, answer any,
	send func(*http.Request, func(*http.Response) error) error, secrets ...string,
) error {
	req.Header.Set("User-Agent", c.userAgent)
	authorization := strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
	secrets = append(secrets, authorization, c.session.credentials.Key)
	var refused error
	err := send(req, func(resp *http.Response) error {
		body, err := exchange.ReadAll(resp.Body, maxAnswer)
		switch {
		case resp.StatusCode != http.StatusOK:
			// An error with a garbled body is still that error.
			refused = readError(name, resp, body, secrets)
		case err != nil:
			return err
		case answer != nil && !decode(body, answer):
			refused = unusable(name, "%d bytes that are not the JSON expected", len(body))
		}
		return nil
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return &exchange.TransportError{Call: name, Err: exchange.Clean(err, secrets...)}
	}
	return nil
}

// decode reads JSON into what answer points to. Nothing of an earlier attempt's answer stays, and nothing of a
// garbled one.
func decode(body []byte, answer any) bool {
	target := reflect.ValueOf(answer).Elem()
	fresh := reflect.New(target.Type())
	if json.Unmarshal(body, fresh.Interface()) != nil {
		return false
	}
	target.Set(fresh.Elem())
	return true
}
