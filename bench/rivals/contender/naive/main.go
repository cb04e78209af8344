// Command naive uploads in the way that is written in an afternoon: pooled
// buffers, an errgroup, SHA-1 and plain net/http, without retries and without
// checks. What a library costs beyond that, or saves, is what it is worth.
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload, download) }

// target is an upload URL with its token.
type target struct{ url, token string }

type client struct {
	http *http.Client
	wire *lab.Wire
	urls chan target // idle ones
}

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	partSize, uploads := cmp.Or(t.PartSize, 16<<20), cmp.Or(t.Concurrency, 4)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = uploads
	wire, err := lab.Login(ctx, transport, t.Server, "naive")
	if err != nil {
		return err
	}
	c := &client{http: &http.Client{Transport: transport}, wire: wire, urls: make(chan target, uploads)}
	buffers := sync.Pool{New: func() any { b := make([]byte, partSize); return &b }}
	var mu sync.Mutex
	sums := make(map[int]string)

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	number := 0
	for ended := false; !ended; {
		buffer := buffers.Get().(*[]byte)
		n, err := io.ReadFull(stream, *buffer)
		if ended = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !ended {
			return errors.Join(err, group.Wait())
		}
		if n == 0 {
			break
		}
		number++
		part := number
		group.Go(func() error {
			defer buffers.Put(buffer)
			sum, err := c.post(ctx, part, (*buffer)[:n])
			mu.Lock()
			defer mu.Unlock()
			sums[part] = sum
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	list := make([]string, number)
	for i := range list {
		list[i] = sums[i+1]
	}
	return wire.Finish(context.WithoutCancel(ctx), list)
}

// post sends one part and returns its SHA-1.
func (c *client) post(ctx context.Context, number int, part []byte) (string, error) {
	var to target
	select {
	case to = <-c.urls:
	default:
		var err error
		if to.url, to.token, err = c.wire.UploadURL(ctx); err != nil {
			return "", err
		}
	}
	digest := sha1.Sum(part)
	sum := hex.EncodeToString(digest[:])
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, bytes.NewReader(part))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", to.token)
	req.Header.Set("X-Bz-Part-Number", strconv.Itoa(number))
	req.Header.Set("X-Bz-Content-Sha1", sum)
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("part %d: %s", number, resp.Status)
	}
	c.urls <- to
	return sum, nil
}

// streams is how many connections a restore has: as many as the link carries.
const streams = 8

// download reads a file over as many connections as the link carries, each one run of it, and
// verifies nothing. It is what a restore takes at least.
func download(ctx context.Context, t contender.Task) error {
	to, err := t.Output()
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = streams
	each := (t.Size + streams - 1) / streams
	group, ctx := errgroup.WithContext(ctx)
	for first := int64(0); first < t.Size; first += each {
		group.Go(func() error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%s/%d", t.Server.URL, t.Server.Bucket, t.Size), nil)
			if err != nil {
				return err
			}
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, min(t.Size, first+each)-1))
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var w io.Writer = struct{ io.Writer }{io.Discard}
			if t.Path != "" {
				w = struct{ io.Writer }{io.NewOffsetWriter(to, first)}
			}
			_, err = io.CopyBuffer(w, resp.Body, make([]byte, 1<<20))
			return err
		})
	}
	return errors.Join(group.Wait(), to.Close())
}
