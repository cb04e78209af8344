package memorybackend

import (
	"context"
	"fmt"
	"hash"
	"io"
	"math"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/sleep"
)

// travel is the time a request takes to reach the store. It fails if ctx is
// done, so that what follows changes nothing then.
func (b *Backend) travel(ctx context.Context) error { return wait(ctx, b.latency) }

// receive takes the bytes of a part into memory of its own, over a connection
// of limited bandwidth, and checks their digests. It returns nil if the store
// drops them.
func (b *Backend) receive(ctx context.Context, p *sluice.Part, algorithms []sluice.Algorithm) ([]byte, error) {
	if p.Size < 0 || p.Size > math.MaxInt {
		return nil, fmt.Errorf("memorybackend: a part of %d bytes cannot be kept", p.Size)
	}
	body := p.Attempt()
	defer body.Close()
	if b.discard && b.bandwidth <= 0 {
		n, err := body.WriteTo(io.Discard)
		return nil, complete(n, p, err)
	}
	c := connection{ctx: ctx, bandwidth: b.bandwidth, start: time.Now()}
	if !b.discard {
		c.data = make([]byte, 0, p.Size)
		c.keep = true
		for _, a := range algorithms {
			c.hashes = append(c.hashes, a.New())
		}
	}
	n, err := body.WriteTo(&c)
	if err := complete(n, p, err); err != nil {
		return nil, err
	}
	for i, h := range c.hashes {
		if err := verify(algorithms[i].Name, h.Sum(nil), p.Digests); err != nil {
			return nil, err
		}
	}
	return c.data, nil
}

func complete(n int64, p *sluice.Part, err error) error {
	if err == nil && n != p.Size {
		err = fmt.Errorf("memorybackend: part %d has %d bytes, its size is declared as %d", p.Number, n, p.Size)
	}
	return err
}

type connection struct {
	ctx       context.Context // of the call, which ends before the connection does
	bandwidth int64
	start     time.Time
	carried   int64

	keep   bool
	data   []byte
	hashes []hash.Hash
}

// Write takes the next bytes, when the bandwidth has carried them.
func (c *connection) Write(q []byte) (int, error) {
	c.carried += int64(len(q))
	var due time.Duration
	if c.bandwidth > 0 {
		seconds := float64(c.carried) / float64(c.bandwidth)
		due = time.Duration(seconds*float64(time.Second)) - time.Since(c.start)
	}
	if err := wait(c.ctx, due); err != nil {
		return 0, err
	}
	if c.keep {
		c.data = append(c.data, q...)
	}
	for _, h := range c.hashes {
		h.Write(q)
	}
	return len(q), nil
}

// wait returns after d, or as soon as ctx is done, with its error and its cause.
func wait(ctx context.Context, d time.Duration) error {
	if sleep.For(ctx, d) != nil {
		return retry.Ended(ctx, nil)
	}
	return nil
}
