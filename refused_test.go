package sluice

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crowded is a store that takes a few uploads at once and refuses all others.
// Some uploads take far longer than usual, and some calls end their goroutine.
type crowded struct {
	hold
	most, quitsOneIn int

	mu      sync.Mutex
	rng     *rand.Rand
	running int
	refused int
}

func (c *crowded) StartLargeFile(context.Context, FileSpec) (LargeFile, error) { return c, nil }

// enter says how long an upload takes, or how long one that is refused is to wait.
func (c *crowded) enter() (takes, wait time.Duration, entered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quitsOneIn > 0 && c.rng.IntN(c.quitsOneIn) == 0 {
		runtime.Goexit()
	}
	if c.running >= c.most {
		c.refused++
		return 0, time.Duration(c.rng.IntN(5000)) * time.Millisecond, false
	}
	c.running++
	takes = time.Duration(c.rng.IntN(2000)) * time.Millisecond
	if c.rng.IntN(10) == 0 {
		takes = time.Minute
	}
	return takes, 0, true
}

func (c *crowded) UploadPart(ctx context.Context, p *Part) (Receipt, error) {
	for {
		takes, wait, entered := c.enter()
		if !entered {
			err := p.Backoff(ctx, ErrSlowDown, wait)
			if err != nil {
				return Receipt{}, err
			}
			continue
		}
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.running--
		}()
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return Receipt{}, ctx.Err()
		}
		return c.hold.UploadPart(ctx, p)
	}
}

// Whatever comes of them: streams that are refused, restarted, aborted and left
// by their uploaders end, and no place for an upload is lost or won.
func TestStreamsToACrowdedStoreEndAndLeaveNoPlaceTaken(t *testing.T) {
	refused, whole := 0, 0
	for seed := range uint64(300) {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				c := &crowded{rng: rng, most: 1 + rng.IntN(6), hold: hold{wait: make(chan struct{})}}
				close(c.wait)
				if rng.IntN(4) == 0 {
					c.quitsOneIn = 100
				}
				abort := rng.IntN(4) == 0
				after := time.Duration(rng.IntN(60_000)) * time.Millisecond
				data := make([]byte, 16*(2+rng.IntN(100)))
				for i := range data {
					data[i] = byte(rng.Uint32())
				}
				w, err := New(t.Context(), c, "f", &Options{MemoryLimit: 16 * int64(3+rng.IntN(16)), PageSize: 16, PartSize: 16, MaxSize: 1 << 12})
				require.NoError(t, err)
				if abort {
					aborting := time.AfterFunc(after, func() { w.Abort(nil) })
					defer aborting.Stop()
				}
				_, _ = w.Write(data)
				switch err := w.Close(); {
				case err == nil:
					require.Equal(t, data, c.content())
					whole++
				case c.quitsOneIn > 0 && errors.Is(err, errNotReturned):
				default:
					require.True(t, abort)
					require.ErrorIs(t, err, ErrAborted)
				}
				q := w.pipeline.queue
				require.Empty(t, q.active)
				require.Zero(t, q.resting)
				require.Empty(t, q.returning)
				require.LessOrEqual(t, q.uploaders, q.limiter.max)
				require.Zero(t, w.plan.pool.InUse())
				require.Zero(t, w.Stats().PartsInFlight)
				refused += c.refused
			})
		})
		if !ok {
			return // one is enough to look at
		}
	}
	require.Positive(t, refused)
	require.Greater(t, whole, 100)
	t.Logf("%d refused, %d whole", refused, whole)
}
