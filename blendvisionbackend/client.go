package blendvisionbackend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/c1508ce4/sluice/internal/exchange"
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

// retrying is what the log says of a failure that is followed by another attempt. The failure names the call.
const retrying = "blendvision: retrying"

// path of the API (documented).
const filesPath = "/bv/cms/v1/library/files"

// maxAnswer is the longest answer of the API that is read, in bytes: a plan has one URL for each part.
const maxAnswer = 64 << 20

// url is where a call goes; fileID is "" for callOpen.
func (b *Backend) url(call, fileID string) string {
	if call == callOpen {
		return b.opts.Endpoint + filesPath + ":upload"
	}
	return b.opts.Endpoint + filesPath + "/" + url.PathEscape(fileID) + ":" + call
}

// post makes a call of the API and reads its answer into a T, with retries.
func post[T any](ctx context.Context, b *Backend, call, fileID string, request any) (T, error) {
	var answer T
	err := b.repeat(ctx, call, func() (err error) {
		answer, err = postOnce[T](ctx, b, call, fileID, request)
		return err
	})
	return answer, err
}

// repeat makes attempts at a call while ctx lives; each has limits of its own.
func (b *Backend) repeat(ctx context.Context, call string, try func() error) error {
	return b.policy.Unlimited().Do(ctx, retry.Call{Judge: judge, Backoff: retry.Logged(b.opts.Logger, retrying, nil)},
		func(context.Context, *retry.Attempt) error { return try() })
}

// postOnce is one attempt at a call, under the limits of one.
func postOnce[T any](ctx context.Context, b *Backend, call, fileID string, request any) (T, error) {
	var answer T
	body, err := json.Marshal(request)
	if err != nil {
		return answer, named(call, err)
	}
	policy := b.policy
	if call == callComplete {
		// The service may compute the checksum of the whole file before it answers; how long that takes is not documented.
		policy = policy.Slow()
	}
	secrets := b.secrets()
	err = policy.Once(ctx, 0, func(ctx context.Context, a *retry.Attempt) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url(call, fileID), bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+b.credentials.Token)
		req.Header.Set("X-Bv-Org-Id", b.credentials.OrgID)
		req.Header.Set("Content-Type", "application/json")
		return exchange.Do(b.opts.Transport, req, a, func(resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return refusal(call, resp, secrets)
			}
			data, err := exchange.ReadAll(resp.Body, maxAnswer)
			if err == nil {
				err = json.Unmarshal(data, &answer)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errUnreadable, err)
			}
			return nil
		})
	})
	return answer, named(call, exchange.Clean(err, secrets...))
}

// shortestSecret keeps values such as a part number from being cut out of messages.
const shortestSecret = 8

// secrets are what a server may repeat and nobody may see. An organization whose id is a word or a number stays.
func (b *Backend) secrets() []string {
	secrets := []string{b.credentials.Token}
	if len(b.credentials.OrgID) >= shortestSecret {
		secrets = append(secrets, b.credentials.OrgID)
	}
	return secrets
}

// secretsOf are what a presigned URL must not show: its query, and each value in it, as it stands there and decoded.
func secretsOf(u *url.URL) []string {
	secrets := []string{u.RawQuery}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		if len(value) < shortestSecret {
			continue
		}
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}
