package b2backend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// apiVersion is 4 because keys made by it with a bucket restriction cannot log
// in on older versions, while it takes keys of every age (reported).
const apiVersion = "/b2api/v4/"

// answerLimits bound an answer. The longest are pages of 1000 files with 7000
// bytes of name and metadata each.
var answerLimits = decode.Limits{Bytes: 10 << 20, Elements: 1 << 18, List: filesPage}

type method struct {
	name  string
	needs string // the capability (documented)
	slow  bool   // the server moves a file's bytes meanwhile, for 20 minutes perhaps (reported)
}

// Calls that may be made again though the answer to the first was lost.
var (
	listBuckets      = method{name: "b2_list_buckets", needs: "listBuckets"}
	getUploadURL     = method{name: "b2_get_upload_url", needs: "writeFiles"}
	getUploadPartURL = method{name: "b2_get_upload_part_url", needs: "writeFiles"}
	cancelLargeFile  = method{name: "b2_cancel_large_file", needs: "writeFiles"}
	listParts        = method{name: "b2_list_parts", needs: "writeFiles"}
	listUnfinished   = method{name: "b2_list_unfinished_large_files", needs: "listFiles"}
	listNames        = method{name: "b2_list_file_names", needs: "listFiles"}
	listVersions     = method{name: "b2_list_file_versions", needs: "listFiles"}
	getFileInfo      = method{name: "b2_get_file_info", needs: "readFiles"}
	deleteVersion    = method{name: "b2_delete_file_version", needs: "deleteFiles"}
	copyPart         = method{name: "b2_copy_part", needs: "writeFiles", slow: true}
)

// Calls that must not: they go through commit.
var (
	startLargeFile  = method{name: "b2_start_large_file", needs: "writeFiles"}
	finishLargeFile = method{name: "b2_finish_large_file", needs: "writeFiles", slow: true}
	copyFile        = method{name: "b2_copy_file", needs: "writeFiles", slow: true}
)

// call is one call of the API, as it is before it is sent. It may be sent any
// number of times.
type call struct {
	method
	request any      // in JSON
	secrets []string // cut from errors, beside the request's own authorization
	// read takes a successful answer. An error means that it is not usable.
	read    func(*http.Response) error
	backoff retry.Backoff // is told of retries; may be nil

	account *account // of the attempt under way
}

// client carries calls to one account. It is shared by all handles of a
// Backend.
type client struct {
	transport http.RoundTripper
	hosts     httpx.Hosts
	userAgent string
	log       *slog.Logger
	policy    retry.Policy
	session   *session
}

// do makes a call that may be repeated, with retries.
func (c *client) do(ctx context.Context, k *call) error {
	policy := c.policy.Within(ctx)
	if k.slow {
		policy = c.policy.Slow()
	}
	return policy.Do(ctx, c.retries(k), func(ctx context.Context, try *retry.Attempt) error {
		return c.send(ctx, k, try)
	})
}

// commit makes a call that must not be repeated blindly. how says what is known
// about it.
func (c *client) commit(ctx context.Context, k *call, how retry.Commit) (retry.Result, error) {
	how.Call = c.retries(k)
	how.Send = func(ctx context.Context, try *retry.Attempt) error {
		try.Sent()
		return c.send(ctx, k, try)
	}
	policy := c.policy
	if k.slow {
		policy = policy.Slow()
	}
	return policy.Commit(ctx, how)
}

// retries returns how a call is repeated: before each attempt it gets an account
// whose token is not known to be dead.
func (c *client) retries(k *call) retry.Call {
	return retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			k.account, err = c.account(ctx)
			return err
		},
		Classify: func(err error) retry.Verdict {
			found := classify(apiEndpoint, err)
			if found.login {
				c.session.expire(k.account)
			}
			return found.Verdict
		},
		Backoff: c.logged(k.backoff),
	}
}

// logged logs a retry and leaves the rest to next, which may be nil.
func (c *client) logged(next retry.Backoff) retry.Backoff {
	return retry.Logged(c.log, "b2: retrying", next)
}

func (c *client) send(ctx context.Context, k *call, try *retry.Attempt) error {
	if !k.account.can(k.needs) {
		return fmt.Errorf("%s: the key lacks the capability %s", k.name, k.needs)
	}
	body, err := json.Marshal(k.request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.account.apiURL+apiVersion+k.name, bytes.NewReader(body))
	if err != nil {
		return httpx.Clean(err)
	}
	req.GetBody = nil // the transport must not send the body a second time
	req.Header.Set("Authorization", k.account.token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	return c.exchange(k.name, req, nil, try, k.read, k.secrets...)
}

// exchange sends a request once, with a part as its body if there is one, and
// hands a successful answer to read, whose error means that the answer is not
// usable. secrets are cut from errors, beside the request's own authorization.
func (c *client) exchange(
	name string, req *http.Request, part *sluice.Part, try *retry.Attempt, read func(*http.Response) error, secrets ...string,
) error {
	req.Header.Set("User-Agent", c.userAgent)
	authorization := strings.TrimPrefix(req.Header.Get("Authorization"), "Basic ")
	secrets = append(secrets, authorization, c.session.key().key.Reveal())
	refused := func(resp *http.Response) error {
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			c.session.ahead.Store(int64(time.Until(date)))
		}
		switch {
		case resp.StatusCode >= 300:
			return readError(name, resp, secrets)
		case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent:
			return &httpx.AnswerError{Call: name, Detail: fmt.Sprintf("status %d", resp.StatusCode)}
		}
		return nil
	}
	return httpx.Call{Name: name, Secrets: secrets, Refused: refused}.Send(c.transport, req, part, try, read)
}

// into reads an answer in JSON. check returns why it is not usable; it may be
// nil.
func into(answer any, check func() error) func(*http.Response) error {
	return func(resp *http.Response) error {
		if err := decode.JSON(resp.Body, answer, answerLimits); err != nil || check == nil {
			return err
		}
		return check()
	}
}
