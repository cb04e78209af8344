package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/memorybackend"
)

// busyStore is a store for many uploads at once, where attempts fail in every
// way that an attempt can: it is rejected, times out, breaks, straggles, or
// fails for good.
type busyStore struct {
	*memorybackend.Backend
	perPage time.Duration // of an attempt that is not slow
	most    int           // uploads at once, of all streams; 0: any number
	oneOf   int           // attempts fails in some way
	tally   *mixedTally
	silent  atomic.Bool // a source was silent for so long that a pool may be blocked

	mu      sync.Mutex
	rng     *rand.Rand
	running int
}

// mixedTally counts what happened in all scenarios.
type mixedTally struct {
	rejected, timeouts, broken, slow, failed, aborted, cancelled, restarts, reused, finished atomic.Int64
}

var (
	errStore  = errors.New("the store has no more attempts")
	errBroken = errors.New("connection reset")
)

func (b *busyStore) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	f, err := b.Backend.StartLargeFile(ctx, spec)
	return &busyFile{f, b}, err
}

func (b *busyStore) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	f, err := b.Backend.ResumeLargeFile(ctx, spec, id)
	if err != nil {
		return nil, err
	}
	return &busyFile{f, b}, nil
}

// draw returns what becomes of the next attempt, and how long to wait after it.
func (b *busyStore) draw() (fate int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.most > 0 && b.running >= b.most:
		fate = rejected
	case oneIn(b.rng, b.oneOf):
		fate = b.rng.IntN(fates)
	}
	if fate != rejected {
		b.running++
	}
	if fate != fine {
		tally.faults.Add(1)
	}
	return fate, 1 + upTo(b.rng, 20*time.Second)
}

func (b *busyStore) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
}

// What becomes of an attempt.
const (
	fine = iota
	rejected
	timesOut
	breaks
	straggles
	failsForGood
	fates
)

type busyFile struct {
	sluice.LargeFile
	store *busyStore
}

func (f *busyFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	for range 20 {
		wait, err := f.try(ctx, p)
		if err == nil {
			return f.LargeFile.UploadPart(ctx, p)
		}
		if ctx.Err() != nil || errors.Is(err, errStore) {
			return sluice.Receipt{}, err
		}
		if err := p.Backoff(ctx, err, wait); err != nil {
			return sluice.Receipt{}, err
		}
	}
	return sluice.Receipt{}, errStore
}

// try makes one attempt.
func (f *busyFile) try(ctx context.Context, p *sluice.Part) (wait time.Duration, err error) {
	s := f.store
	fate, wait := s.draw()
	if fate == rejected {
		s.tally.rejected.Add(1)
		return wait, fmt.Errorf("503: %w", sluice.ErrSlowDown)
	}
	defer s.leave()
	perPage, size := s.perPage, p.Size
	switch fate {
	case timesOut:
		s.tally.timeouts.Add(1)
		if err := pause(ctx, time.Minute); err != nil {
			return 0, err
		}
		return wait, fmt.Errorf("%w: %w", sluice.ErrSlowDown, retry.ErrStalled)
	case breaks:
		s.tally.broken.Add(1)
		size /= 2
	case straggles:
		s.tally.slow.Add(1)
		perPage *= 20
	case failsForGood:
		s.tally.failed.Add(1)
		return 0, errStore
	}
	body := p.Attempt()
	defer body.Close()
	piece := make([]byte, page)
	for sent := int64(0); sent < size; sent += page {
		if err := pause(ctx, perPage); err != nil {
			return 0, err
		}
		_, _ = body.Read(piece)
	}
	if fate == breaks {
		return wait, errBroken
	}
	return 0, nil
}

// Up to 16 streams share a Pool and a store. Parts are rejected, time out, break,
// straggle and are started again; streams are aborted, cancelled or fail, and
// resume until they are done.
func TestMixed(t *testing.T) {
	var total mixedTally
	t.Cleanup(func() {
		if *seedFlag != 0 || testing.Short() || t.Failed() {
			return
		}
		for what, n := range map[string]*atomic.Int64{
			"rejected": &total.rejected, "timed out": &total.timeouts, "broken": &total.broken, "slow": &total.slow,
			"failed": &total.failed, "aborted": &total.aborted, "cancelled": &total.cancelled,
			"started again": &total.restarts, "reused": &total.reused, "finished": &total.finished,
		} {
			require.Greater(t, n.Load(), int64(100), what)
		}
	})
	sweep(t, 600, bubble(func(t *testing.T, rng *rand.Rand) {
		limits := sluice.Limits{
			MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
			PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
		}
		memory := memorybackend.New(&memorybackend.Options{Limits: &limits, Latency: 1 + upTo(rng, 100*time.Millisecond)})
		store := &busyStore{
			Backend: memory, perPage: time.Second + upTo(rng, 10*time.Second), oneOf: 3 + rng.IntN(20), tally: &total,
			rng: rand.New(rand.NewPCG(rng.Uint64(), 0)),
		}
		if oneIn(rng, 2) {
			store.most = 1 + rng.IntN(8)
		}
		pool := newPool(t, 6+rng.IntN(60), oneIn(rng, 10))
		defer pool.Close()
		streams := make([]mixedStream, 1+rng.IntN(16))
		var writers sync.WaitGroup
		for i := range streams {
			streams[i] = mixedStream{
				name: fmt.Sprint(i), data: content(rng, rng.IntN(100*page)), concurrency: rng.IntN(6),
				partSize: page * rng.Int64N(1+min(4, pool.MaxPart()/page)), rng: rand.New(rand.NewPCG(rng.Uint64(), 0)),
			}
			writers.Go(func() { streams[i].run(apart{t}, store, pool) })
		}
		writers.Wait()
		if t.Failed() {
			t.FailNow()
		}
		require.Zero(t, pool.InUse(), "all pages are home")
		require.Zero(t, store.running)
		for _, s := range streams {
			verify(t, stored(t, memory, s.name), s.data)
		}
		require.Empty(t, memory.Leftovers(""))
	}))
}

// mixedStream is one stream of a scenario, with what all its runs have in common.
type mixedStream struct {
	name        string
	data        []byte
	concurrency int
	partSize    int64
	rng         *rand.Rand
}

// run uploads the stream in as many runs as it takes.
func (m *mixedStream) run(t testing.TB, b *busyStore, pool *sluice.Pool) {
	for run := 1; ; run++ {
		require.Less(t, run, 200, "stream %s does not end", m.name)
		s := &stream{data: m.data, steps: randomSteps(m.rng, len(m.data))}
		s.options = sluice.Options{Pool: pool, Concurrency: m.concurrency, PartSize: m.partSize, Resume: true}
		s.causes = []error{errStore, sluice.ErrPoolBlocked}
		if silent(s.steps) {
			b.silent.Store(true)
		}
		switch m.rng.IntN(4) {
		case 0:
			s.abort = 1 + upTo(m.rng, 10*time.Minute)
			s.causes = append(s.causes, errAbort)
		case 1:
			s.cancel = 1 + upTo(m.rng, 10*time.Minute)
			s.causes = append(s.causes, errCaller)
		}
		o := s.run(t, b, m.name)
		b.tally.restarts.Add(int64(o.stats.Restarts))
		b.tally.reused.Add(min(1, o.stats.Reused))
		switch {
		case o.err == nil:
			b.tally.finished.Add(1)
			return
		case errors.Is(o.err, errAbort):
			b.tally.aborted.Add(1)
		case errors.Is(o.err, errCaller):
			b.tally.cancelled.Add(1)
		case errors.Is(o.err, sluice.ErrPoolBlocked):
			require.True(t, b.silent.Load(), "no source was silent: %v", o.err)
		}
	}
}
