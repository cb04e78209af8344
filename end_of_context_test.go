package sluice_test

import (
	"context"
	"errors"
	"hash"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// goroutinesOf counts the goroutines that run code of the root package outside tests.
func goroutinesOf(stacks string) (n int) {
	for g := range strings.SplitSeq(stacks, "\n\n") {
		if strings.Contains(g, "sluice.(*pipeline)") || strings.Contains(g, "sluice.(*queue)") {
			n++
		}
	}
	return n
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

func TestWriter_EndsItsGoroutinesWithItsContext(t *testing.T) {
	why := errors.New("why")
	for name, busy := range map[string]func(*stub){
		"uploading": func(s *stub) {
			s.uploadPart = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
				return sluice.Receipt{}, until(ctx)
			}
		},
		"backing off": func(s *stub) {
			s.uploadPart = func(ctx context.Context, p *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
				return sluice.Receipt{}, p.Backoff(ctx, sluice.ErrSlowDown, time.Hour)
			}
		},
		"starting": func(s *stub) {
			s.start = func(ctx context.Context, _ func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
				return nil, until(ctx)
			}
		},
		"idle": func(*stub) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStub()
				busy(b)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				w, pool := open(t, ctx, b, func(o *sluice.Options) {
					o.Concurrency = 0
					o.Digests = []sluice.Algorithm{memorybackend.SHA256()}
				})
				mustWrite(t, w, 3*part+1)
				synctest.Wait()
				cancel(why)
				synctest.Wait()
				require.Zero(t, goroutinesOf(stacks()), "before Close or Abort is called")
				require.EqualValues(t, page, pool.InUse(), "what is left is the part being filled")
				require.ErrorIs(t, w.Close(), why)
				require.Zero(t, pool.InUse())
				requireNothingLeft(t, b.Backend)
			})
		})
	}
}

func TestWriter_RejectsAReceiptOfAnotherPart(t *testing.T) {
	b := newStub()
	b.uploadPart = func(_ context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
		r, err := real()
		if p.Number == 2 {
			r.Number = 1
		}
		return r, err
	}
	w, _ := open(t, t.Context(), b, nil)
	_, _ = w.Write(testutil.Content(4 * part))
	require.ErrorContains(t, w.Close(), "the store says it received part 1, part 2 was sent")
}

// A part that is being hashed when the context ends is queued after the
// goroutines that would have sent it have ended.
func TestWriter_GivesBackPartsThatAreHashedAfterTheEndOfItsContext(t *testing.T) {
	why := errors.New("why")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := smallLimits()
		l.PartDigests = []sluice.Algorithm{{Name: "slow", New: func() hash.Hash { return slowHash{crc32.NewIEEE(), release} }}}
		b := store(l)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w, pool := open(t, ctx, b, nil)
		mustWrite(t, w, 3*part+1)
		synctest.Wait()
		cancel(why)
		synctest.Wait()
		close(release)
		synctest.Wait()
		require.Zero(t, goroutinesOf(stacks()))
		require.EqualValues(t, page, pool.InUse(), "what is left is the part being filled")
		require.ErrorIs(t, w.Close(), why)
		requireNothingLeft(t, b)
	})
}

// slowHash is a hash that waits to be released.
type slowHash struct {
	hash.Hash32
	release <-chan struct{}
}

func (h slowHash) Write(p []byte) (int, error) {
	<-h.release
	return h.Hash32.Write(p)
}

// Killed after nine seconds under a cap of 10 MB/s: of what was sent, most is stored.
func TestMaxRate_LeavesFewPartsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := sluice.Limits{MinPart: 5 << 20 / scale, MinParts: 2, MaxParts: 10_000, MaxSingle: 5 << 30 / scale}
		b := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: 30 * time.Millisecond, Discard: true, Bandwidth: 100_000_000 / scale})
		w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: 128 << 20 / scale, PageSize: 1 << 10, MaxRate: 10_000_000 / scale})
		require.NoError(t, err)
		defer w.Abort(nil)
		go func() { _, _ = w.Write(make([]byte, 1<<30/scale)) }()
		time.Sleep(9 * time.Second)
		s := w.Stats()
		require.InDelta(t, 90e6/scale, s.Sent+s.Resent, 10e6/scale)
		require.Greater(t, s.Acknowledged, int64(60_000_000/scale))
		require.InEpsilon(t, (1<<30/scale-float64(s.Sent))/(10e6/scale), s.TimeLeft(1<<30/scale).Seconds(), 0.2)
	})
}
