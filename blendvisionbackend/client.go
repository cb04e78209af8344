package blendvisionbackend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// The calls, as errors and logs name them. All but callPut and callGet are the API's verbs.
const (
	callOpen     = "files:upload"
	callPut      = "put part"
	callComplete = "complete-upload"
	callCancel   = "cancel-upload"
	callDownload = "download"
	callGet      = "get file"
)

// retrying is what the log says of a failure that is followed by another
// attempt. The failure names the call.
const retrying = "blendvision: retrying"

// path of the API (documented).
const filesPath = "/bv/cms/v1/library/files"

// answerLimits bound an answer of the API. The longest is a plan, with a URL of
// some 2 KiB for each part of the largest file.
var answerLimits = decode.Limits{Bytes: 32 << 20, Elements: 1 << 19, List: (maxFile + minPart - 1) / minPart}

// client carries calls to one library. It is shared by all handles of a Backend.
type client struct {
	transport http.RoundTripper
	endpoint  string
	keys      *keys
	hosts     httpx.Hosts // of presigned URLs
	log       *slog.Logger
	policy    retry.Policy
}

// url is where a call goes; fileID is "" for callOpen.
func (c *client) url(call, fileID string) string {
	if call == callOpen {
		return c.endpoint + filesPath + ":upload"
	}
	return c.endpoint + filesPath + "/" + url.PathEscape(fileID) + ":" + call
}

// call makes a call of the API, with retries, and reads its answer.
func (c *client) call(ctx context.Context, call, fileID string, request, answer any) error {
	return c.policy.Within(ctx).Do(ctx, c.repeated(), func(ctx context.Context, try *retry.Attempt) error {
		return c.post(ctx, try, call, fileID, request, answer)
	})
}

// commit is call for what must not be repeated blindly. check says why an answer
// is not usable, and how what else is known about the call.
func (c *client) commit(
	ctx context.Context, call, fileID string, request, answer any, check func() error, how retry.Commit,
) (retry.Result, error) {
	how.Call = c.repeated()
	how.Send = func(ctx context.Context, try *retry.Attempt) error {
		try.Sent()
		err := c.post(ctx, try, call, fileID, request, answer)
		if err == nil {
			err = check()
		}
		return err
	}
	policy := c.policy
	if call == callComplete {
		// The service may compute the checksum of the whole file before it answers;
		// how long that takes is not documented.
		policy = policy.Slow()
	}
	return policy.Commit(ctx, how)
}

func (c *client) repeated() retry.Call {
	return retry.Call{Classify: c.keys.classify, Backoff: retry.Logged(c.log, retrying, nil)}
}

func (c *client) post(ctx context.Context, try *retry.Attempt, call, fileID string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return named(call, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(call, fileID), bytes.NewReader(body))
	if err != nil {
		return named(call, httpx.Clean(err))
	}
	credentials, renewal := c.keys.get(ctx)
	req.Header.Set("Authorization", "Bearer "+credentials.token.Reveal())
	req.Header.Set("X-Bv-Org-Id", credentials.orgID.Reveal())
	req.Header.Set("Content-Type", "application/json")
	err = exchange(call, credentials.secrets()).Send(c.transport, req, nil, try, func(resp *http.Response) error {
		return decode.JSON(resp.Body, answer, answerLimits)
	})
	if unauthenticated(err) {
		c.keys.refuse(credentials)
		if renewal != nil {
			return fmt.Errorf("%w (%w)", err, renewal)
		}
	}
	return err
}

// secrets returns what is cut out of a server's texts. The id of an organization
// that is a word or a number stays.
func (c Credentials) secrets() []string {
	secrets := []string{c.token.Reveal()}
	if len(c.orgID.Reveal()) >= httpx.ShortestSecret {
		secrets = append(secrets, c.orgID.Reveal())
	}
	return secrets
}
