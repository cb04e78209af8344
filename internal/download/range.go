// Package download reads ranges of a store's files over HTTP.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// littleBrought is fewer bytes than are worth a request without a wait.
const littleBrought = 64 << 10

// Fill makes attempts at filling r, by the policy, until it is full. An attempt
// that broke off after it had brought bytes is followed by another one, for which
// the policy begins anew: at once, or after the policy's base where it brought
// few.
func Fill(
	ctx context.Context, p retry.Policy, c retry.Call, r *sluice.Range, try func(context.Context, *retry.Attempt) error,
) error {
	classify := c.Classify
	var known error // the failure that was classified last
	var verdict retry.Verdict
	c.Classify = func(err error) retry.Verdict {
		if err != known {
			known, verdict = err, classify(err)
		}
		return verdict
	}
	for {
		var broke error
		var wait time.Duration
		err := p.Do(ctx, c, func(ctx context.Context, a *retry.Attempt) error {
			before := r.Missing()
			err := try(ctx, a)
			if err == nil || r.Missing() == before || ctx.Err() != nil || c.Classify(err).Action == retry.Stop {
				return err
			}
			broke = err
			if before-r.Missing() < littleBrought {
				wait = min(p.Base, p.MaxWait)
			}
			return nil
		})
		if err != nil || broke == nil {
			return err
		}
		if c.Backoff(ctx, broke, wait) != nil {
			return retry.Ended(ctx, broke)
		}
	}
}

// SetBytes asks for size bytes from offset on, as they are stored: no transport
// is to ask for gzip and unpack what was stored so. With a tag it asks
// for the file of that ETag or none (RFC 9110, 13.1.1).
func SetBytes(h http.Header, offset, size int64, tag string) {
	h.Set("Accept-Encoding", "identity")
	if tag != "" {
		h.Set("If-Match", tag)
	}
	h.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+size-1))
}

// CheckBytes returns how a successful answer is not about the size bytes from
// offset on of a file of total bytes. All bytes of a file may be answered
// without a word about the range (RFC 9110, 14.2), as B2 does to "bytes=0-"
// (reported).
func CheckBytes(resp *http.Response, offset, size, total int64) error {
	status, wanted := http.StatusPartialContent, fmt.Sprintf("bytes %d-%d/%d", offset, offset+size-1, total)
	if size == total && resp.StatusCode == http.StatusOK {
		status, wanted = http.StatusOK, ""
	}
	switch part := resp.Header.Get("Content-Range"); {
	case resp.StatusCode != status:
		return fmt.Errorf("status %d, not %d", resp.StatusCode, status)
	case part != wanted:
		return fmt.Errorf("the range %.60q, not %q", part, wanted)
	case resp.ContentLength < 0:
		return errors.New("no length")
	case resp.ContentLength != size:
		return fmt.Errorf("%d bytes, not %d", resp.ContentLength, size)
	}
	return nil
}

// Into reads the bytes that r lacks. An end before the last of them is an error
// of the connection. As long as they come, the attempt is not ended for its
// age.
func Into(r *sluice.Range, body io.Reader, a *retry.Attempt) error {
	_, err := r.ReadFrom(&arrival{body, a})
	if err == nil && r.Missing() > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// arrival is a body whose bytes are those of a file.
type arrival struct {
	io.Reader
	attempt *retry.Attempt
}

func (b *arrival) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.attempt.Carried()
	}
	return n, err
}

// Within returns an error if r is not within a file of total bytes.
func Within(r *sluice.Range, total int64) error {
	if r.Offset < 0 || r.Size < 0 || r.Offset > total-r.Size {
		return fmt.Errorf("bytes %d to %d are beyond the %d of the file", r.Offset, r.Offset+r.Size, total)
	}
	return nil
}

// Reconnect has req go over a connection that is not used again, and closes
// those that wait to be, if r asks for a fresh one.
func Reconnect(r *sluice.Range, rt http.RoundTripper, req *http.Request) {
	if !r.Fresh {
		return
	}
	if t, ok := rt.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	req.Close = true
}
