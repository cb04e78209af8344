package b2backend

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// upload is what b2_upload_file and b2_upload_part have in common.
type upload struct {
	call    string
	urls    *urlList
	part    *sluice.Part
	header  http.Header
	secrets []string
	// check says why an answer is not usable.
	check func() error
	// settle looks what became of an attempt whose outcome is unknown, before there is another; nil if a repeat
	// does no harm.
	settle func(context.Context) (done bool, err error)
	// lost is set once the outcome of an attempt is unknown. abandoned is whether the last attempt was given up here
	// with all its bytes sent, so that the service may still be at work on it.
	lost, abandoned bool
}

// sha1Of is the part's digest in hex.
func sha1Of(p *sluice.Part) (string, error) {
	sum := p.Digests.Get("sha1")
	if len(sum) != 20 {
		return "", fmt.Errorf("b2backend: part %d comes without its SHA-1", p.Number)
	}
	return hex.EncodeToString(sum), nil
}

// run uploads, with retries while ctx lives. An attempt that has sent all its bytes goes on as long as longer lives,
// so that its answer is not lost; one that has not stores nothing and ends with ctx.
func (u *upload) run(ctx, longer context.Context, c *client, answer any) error {
	var (
		at   uploadURL
		held bool // at is ours, and works as far as is known
		done bool
	)
	defer func() {
		if held {
			u.urls.keep(at)
		}
	}()
	j := judge{at: uploadEndpoint}
	return c.policy.Unlimited().Do(ctx, retry.Call{
		Prepare: func(ctx context.Context) (err error) {
			if u.lost && u.settle != nil {
				if done, err = u.settle(ctx); done || err != nil {
					return err
				}
			}
			if !held {
				at, err = u.urls.take(ctx, u.part.Backoff)
				held = err == nil
			}
			return err
		},
		Judge:   j.verdict,
		Backoff: c.backoff(u.part.Backoff),
	}, func(context.Context, *retry.Attempt) error {
		if done {
			return nil
		}
		// A URL is dropped unless the attempt shows that it is alive.
		held = false
		sent, err := c.policy.OnceSent(ctx, longer, u.part.Size, func(attempt context.Context, try *retry.Attempt) error {
			return u.attempt(attempt, c, try, at, answer)
		})
		if err == nil {
			err = u.check()
		}
		if err == nil {
			held = true
			return nil
		}
		d := decide(uploadEndpoint, err)
		if held = d.keepURL; !held {
			u.urls.drop()
		}
		u.abandoned = sent && gaveUp(longer, err)
		u.lost = u.lost || u.abandoned || sent && d.lost
		return err
	})
}

// attempt sends the part once.
func (u *upload) attempt(ctx context.Context, c *client, try *retry.Attempt, at uploadURL, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.url, nil)
	if err != nil {
		return exchange.Clean(err)
	}
	req.Header = u.header.Clone()
	req.Header.Set("Authorization", at.token)
	return c.exchange(u.call, req, answer, func(req *http.Request, read func(*http.Response) error) error {
		return exchange.Send(c.transport, req, u.part, try, read)
	}, u.secrets...)
}

// UploadFile stores a whole file by b2_upload_file. An answer that was lost is looked up before the file is sent
// again, so that no second version appears; that takes the capability listFiles. Without it the file is sent
// again all the same; and if that does not succeed, the outcome is [sluice.ErrFinishUnknown].
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	d, err := b.describe(spec)
	if err != nil {
		return sluice.File{}, err
	}
	if p.Size > b.limits.MaxSingle {
		return sluice.File{}, fmt.Errorf("b2backend: %q: %d bytes are over the limit of %d bytes for one call", spec.Name, p.Size, b.limits.MaxSingle)
	}
	sum, err := sha1Of(p)
	if err != nil {
		return sluice.File{}, err
	}
	const call = "b2_upload_file"
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	var stored fileObject
	u := &upload{
		call: call, urls: b.urls, part: p, header: b.fileHeader(d, sum),
		secrets: b.options.Encryption.secrets(),
	}
	if d.tag != "" && b.canList() {
		u.settle = func(ctx context.Context) (bool, error) {
			found, err := b.findVersion(ctx, d, sum, p.Size)
			if found != nil {
				stored = *found
			}
			return found != nil, err
		}
	}
	u.check = func() error {
		switch {
		case stored.FileID == "":
			return unusable(call, "no file id")
		case stored.ContentLength != p.Size:
			return unusable(call, "%d bytes stored of %d", stored.ContentLength, p.Size)
		case stored.ContentSHA1 != sum:
			return unusable(call, "another SHA-1 than %s", sum)
		}
		return nil
	}
	err = u.run(ctx, longer, b.client, &stored)
	if err != nil && u.lost {
		err = u.settleLast(ctx, b.client, err)
	}
	if err != nil {
		return sluice.File{}, err
	}
	return sluice.File{
		ID: stored.FileID, Name: spec.Name, Size: p.Size,
		Digests: sluice.Digests{{Name: "sha1", Sum: append([]byte(nil), p.Digests.Get("sha1")...)}},
	}, nil
}

// fileHeader is the header of b2_upload_file (documented).
func (b *Backend) fileHeader(d *description, sum string) http.Header {
	h := http.Header{}
	h.Set("X-Bz-File-Name", encode(d.name))
	h.Set("Content-Type", d.contentType)
	h.Set("X-Bz-Content-Sha1", sum)
	for key, value := range d.tagged() {
		if key != largeFileSHA1Key { // X-Bz-Content-Sha1 is that
			h.Set("X-Bz-Info-"+key, encode(value))
		}
	}
	b.options.setHeaders(h)
	return h
}

// settleLast learns what became of an upload that ended with err, though an attempt's outcome is unknown.
func (u *upload) settleLast(ctx context.Context, c *client, err error) error {
	settling, cancel := retry.Detached(ctx, retry.SettleTime)
	defer cancel()
	done, lookErr := false, sluice.ErrFinishUnknown
	if u.settle != nil {
		// The service may still be at work on it.
		c.policy.Poll(settling, func(ctx context.Context) bool {
			done, lookErr = u.settle(ctx)
			return done || lookErr != nil
		})
	}
	switch {
	case done:
		return nil
	case lookErr != nil || settling.Err() != nil || u.abandoned:
		return fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
	default:
		return err
	}
}

// findVersion looks for the version that a lost upload made, by its tag. nil if there is none.
func (b *Backend) findVersion(ctx context.Context, d *description, sum string, size int64) (*fileObject, error) {
	for f, err := range b.versions(ctx, d.name) {
		if err != nil {
			return nil, err
		}
		if f.Action == "upload" && f.FileInfo[tagKey] == d.tag && f.ContentSHA1 == sum && f.ContentLength == size {
			return &f, nil
		}
	}
	return nil, nil
}
