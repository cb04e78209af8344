package s3backend

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Finish assembles the file by CompleteMultipartUpload, whose answer may carry an error under status 200. An answer
// that was lost is settled before anything else: as long as ListParts knows the upload, the finish has not been
// done and may be sent again; once it does not, HeadObject shows whether the file is the one that the parts make,
// by size and by the digest or ETag that the store makes of the parts' own. After our own finish, and with nobody
// else cancelling, an upload that is gone is finished where the file cannot be read (s3:GetObject).
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	c, err := f.completion(parts)
	if err != nil {
		return sluice.File{}, err
	}
	if err := f.life.Require(life.Open, life.Finishing); err != nil {
		return sluice.File{}, err
	}
	outcome, err := c.run(ctx)
	f.life.Become(outcome)
	if err != nil {
		return sluice.File{}, exists(err)
	}
	return sluice.File{ID: id(c.version, c.tag), Name: f.name, Size: c.size, Parts: len(parts)}, nil
}

// completion is one Finish.
type completion struct {
	*largeFile
	call  *call
	parts int
	size  int64
	// What most stores make of the parts' own; "" if it cannot be foreseen.
	wantTag, wantChecksum string

	// What the store said of the finished file.
	tag, version string
}

// completion validates the receipts and makes the call.
func (f *largeFile) completion(parts []sluice.Receipt) (*completion, error) {
	if len(parts) < 1 || len(parts) > f.backend.limits.MaxParts {
		return nil, fmt.Errorf("s3backend: %d parts; a large file has 1 to %d", len(parts), f.backend.limits.MaxParts)
	}
	sent := f.backend.checksum
	c := &completion{largeFile: f, parts: len(parts), wantTag: entityTag(parts), wantChecksum: sent.composite(parts)}
	request := completeRequest{Parts: make([]completedPart, len(parts))}
	for i, p := range parts {
		if p.Number != i+1 || p.Tag == "" {
			return nil, fmt.Errorf("s3backend: receipt %d is of part %d with the ETag %q", i+1, p.Number, p.Tag)
		}
		c.size += p.Size
		request.Parts[i] = completedPart{PartNumber: p.Number, ETag: p.Tag}
		if sum := p.Digests.Get(sent.name); len(sum) > 0 {
			sent.set(&request.Parts[i], base64.StdEncoding.EncodeToString(sum))
		}
	}
	body, err := xml.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("s3backend: %w", err)
	}
	c.call = f.call("CompleteMultipartUpload", http.MethodPost, nil)
	c.call.slow = true
	c.call.body = body
	c.call.header.Set("Content-Type", "application/xml")
	f.backend.options.setCondition(c.call.header)
	c.call.read = func(h http.Header, body []byte) error {
		var answer completeAnswer
		if err := decoder(&answer)(h, body); err != nil {
			return err
		}
		if answer.ETag == "" {
			return errors.New("no ETag")
		}
		c.tag, c.version = answer.ETag, h.Get("X-Amz-Version-Id")
		return nil
	}
	return c, nil
}

// run calls until the outcome is known. Without an error it is finished; with one it is open, cancelled (by
// somebody else) or unknown.
func (c *completion) run(ctx context.Context) (life.State, error) {
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	// lost: an attempt may have been done. silent: and the store itself did not answer it, so it may be at work on it.
	lost, silent, done := false, false, false
	err := c.backend.client.retry(ctx, c.call, func(ctx context.Context) error {
		done = lost && c.look(ctx) == life.Finished
		return nil
	}, func(ctx context.Context) error {
		if done {
			return nil
		}
		sent, err := c.backend.client.once(ctx, longer, c.call)
		if err != nil && sent && mayBeDone(err) {
			lost, silent = true, silent || !isOwnAnswer(err)
		}
		return err
	})
	switch {
	case err == nil:
		return life.Finished, nil
	case !lost && isGone(err):
		return life.Cancelled, err
	case !lost:
		return life.Open, err
	}
	settling, cancelSettling := retry.Detached(ctx, retry.SettleTime)
	defer cancelSettling()
	outcome := life.Unknown
	if c.backend.client.policy.Poll(settling, func(ctx context.Context) bool {
		outcome = c.look(ctx)
		return outcome == life.Finished || outcome == life.Open && !silent
	}) {
		if outcome == life.Finished {
			return life.Finished, nil
		}
		return life.Open, err
	}
	return life.Unknown, fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
}

// isOwnAnswer tells whether the store itself, and not a gateway before it, answered with an error.
func isOwnAnswer(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code != ""
}

// look asks the store what became of the upload after a finish whose answer was lost: it is open, finished, or
// unknown. A store that is at work on it may show it as any of these.
func (c *completion) look(ctx context.Context) life.State {
	gone := false
	switch err := c.exists(ctx); {
	case err == nil:
		return life.Open
	case isGone(err):
		gone = true
	}
	seen, err := c.backend.head(ctx, c.name)
	switch {
	case err == nil && c.matches(&seen, gone):
		c.tag, c.version = seen.tag, seen.version
		return life.Finished
	case gone && hasStatus(err, http.StatusForbidden):
		c.tag = c.wantTag
		if c.tag == "" {
			c.tag = c.info.ID
		}
		return life.Finished
	default:
		return life.Unknown
	}
}

// matches tells whether a file is the one that the parts make. Where the store makes digests and ETags of its
// own, the number of parts has to do, once the upload is gone.
func (c *completion) matches(seen *object, gone bool) bool {
	switch {
	case seen.size != c.size:
		return false
	case c.wantChecksum != "" && strings.Contains(seen.checksum, "-"):
		return seen.checksum == c.wantChecksum
	case c.wantTag != "" && seen.tag == c.wantTag:
		return true
	default:
		return gone && strings.HasSuffix(strings.Trim(seen.tag, `"`), "-"+strconv.Itoa(c.parts))
	}
}
