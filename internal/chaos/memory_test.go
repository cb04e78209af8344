package chaos

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// page is the size of the pages of memory, so that large files are small.
const page = 32

var sha1Algorithm = sluice.Algorithm{Name: "sha1", New: sha1.New}

// memoryScenario is a stream to a store in memory.
type memoryScenario struct {
	stream
	limits    sluice.Limits
	plan      int64
	latency   time.Duration
	bandwidth int64
	pages     int
	buffered  bool // pages in a file
	faults    []*faults.Injector
}

func randomMemoryScenario(rng *rand.Rand) *memoryScenario {
	s := &memoryScenario{pages: 4 + rng.IntN(20)}
	s.limits = sluice.Limits{
		MinPart: int64(rng.IntN(2) * page), MinParts: 1 + rng.IntN(2), MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
		PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
	}
	if oneIn(rng, 2) {
		s.latency = upTo(rng, 200*time.Millisecond)
	}
	if oneIn(rng, 4) {
		s.bandwidth = int64(1 + rng.IntN(10*page))
	}
	s.options.Concurrency = rng.IntN(6)
	half := s.pages - s.pages/2
	if oneIn(rng, 2) {
		s.options.PartSize = int64(page + rng.IntN((half-1)*page+1))
	}
	if oneIn(rng, 3) {
		s.options.Digests = []sluice.Algorithm{sha1Algorithm, memorybackend.SHA256()}
	}
	if oneIn(rng, 4) {
		s.limits.WholeDigests = []sluice.Algorithm{sha1Algorithm}
	}
	part := int(max(s.options.PartSize, page))
	// Sizes around every edge: n parts, one byte less, one more; and anything.
	size := max(0, rng.IntN(6)*part+rng.IntN(3)-1)
	if oneIn(rng, 3) {
		size = rng.IntN(60 * page)
	}
	s.data = content(rng, size)
	s.steps = randomSteps(rng, size)
	if oneIn(rng, 5) {
		s.declareSize(rng, half)
	}
	s.spoil(rng, time.Second)
	for range rng.IntN(3) {
		s.addFault(rng)
	}
	s.buffered = oneIn(rng, 4)
	return s
}

// declareSize says how long the stream is, which now and then is not true, and
// may have the store plan the parts.
func (s *memoryScenario) declareSize(rng *rand.Rand, half int) {
	s.options.Size = int64(max(1, len(s.data)))
	if oneIn(rng, 4) {
		s.options.Size = int64(max(1, len(s.data)-2+rng.IntN(5)))
	}
	switch difference := s.options.Size - int64(len(s.data)); {
	case difference > 0:
		s.causes = append(s.causes, sluice.ErrShortStream)
	case difference < 0:
		s.causes = append(s.causes, sluice.ErrLongStream)
	}
	if oneIn(rng, 2) {
		s.limits.ServerSizesParts, s.limits.MinParts, s.limits.MaxSingle, s.limits.Resumable = true, 1, 0, false
		s.options.PartSize = 0
		s.plan = int64(1 + rng.IntN(half*page))
	}
}

// addFault adds something that goes wrong in the store.
func (s *memoryScenario) addFault(rng *rand.Rand) {
	nth := faults.Nth(1 + rng.IntN(12))
	var f *faults.Injector
	switch rng.IntN(10) {
	case 0, 1:
		f = faults.Fail(nil, nth)
		s.causes = append(s.causes, faults.ErrInjected)
	case 2:
		f = faults.Retry(nil, nth)
	case 3:
		f = faults.Retry(sluice.ErrSlowDown, storm(rng.IntN(8), rng.IntN(30)))
	case 4:
		f = faults.Delay(1+upTo(rng, time.Hour), nth)
	case 5:
		f = outage(upTo(rng, time.Second), upTo(rng, time.Hour))
	case 6:
		f = faults.Block(nth)
		if s.abort == 0 {
			s.abort = time.Second + upTo(rng, time.Second)
			s.causes = append(s.causes, errAbort)
		}
		// Cancelling may be what hangs, and cleaning up has its own deadline.
		s.causes = append(s.causes, context.DeadlineExceeded)
	case 7:
		f = faults.Lose(nil, faults.OnKind(faults.StartLargeFile, faults.UploadPart, faults.Cancel), nth)
		s.causes = append(s.causes, faults.ErrInjected)
	case 8:
		f = faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(faults.Finish, faults.UploadFile))
		s.causes = append(s.causes, sluice.ErrFinishUnknown)
	case 9: // uploads that straggle
		n := 1 + rng.IntN(8)
		f = faults.Delay(time.Second+upTo(rng, 10*time.Second), faults.OnKind(faults.UploadPart), func(faults.Op) bool { return oneIn(rng, n) })
	}
	s.faults = append(s.faults, f)
}

// storm holds for so many calls after the first ones.
func storm(skip, length int) faults.Condition {
	asked := 0
	return func(faults.Op) bool {
		asked++
		return asked > skip && asked <= skip+length
	}
}

// outage makes every call wait that begins within length after start, till the end of it.
func outage(start, length time.Duration) *faults.Injector {
	began := time.Now()
	return faults.Do(func(ctx context.Context, _ faults.Op) error {
		now := time.Since(began)
		if now < start || now >= start+length {
			return nil
		}
		select {
		case <-time.After(start + length - now):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (s *memoryScenario) run(t *testing.T, rng *rand.Rand) {
	memory := memorybackend.New(&memorybackend.Options{Limits: &s.limits, PlanPart: s.plan, Latency: s.latency, Bandwidth: s.bandwidth})
	b := faults.New(memory, s.faults...)
	pool := newPool(t, s.pages, s.buffered)
	defer pool.Close()
	s.options.Pool = pool
	s.disk = fillDisk(t, rng, pool, len(s.data)/page)
	o := s.stream.run(t, b, "f")
	for _, f := range s.faults {
		tally.faults.Add(int64(f.Fired()))
	}
	require.Zero(t, pool.InUse(), "all pages are home")
	if o.err == nil {
		require.False(t, s.disk.wasFull(), "a page was refused, and nobody noticed")
		s.requireWhole(t, o, b, memory)
	} else {
		s.requireNothingFinished(t, o.err, b, memory)
	}
}

// newPool is memory of so many pages, or a file.
func newPool(t *testing.T, pages int, buffered bool) *sluice.Pool {
	var pool *sluice.Pool
	var err error
	if buffered {
		pool, err = sluice.NewFilePool(os.TempDir(), int64(pages)*page, page)
	} else {
		pool, err = sluice.NewPool(int64(pages)*page, page)
	}
	require.NoError(t, err)
	return pool
}

func (s *memoryScenario) requireWhole(t *testing.T, o outcome, b *faults.Backend, memory *memorybackend.Backend) {
	verify(t, stored(t, memory, "f"), s.data)
	require.Empty(t, memory.Leftovers(""))
	require.Empty(t, b.Calls(faults.Cancel))
	require.Len(t, b.Calls(faults.Finish, faults.UploadFile), 1)
	if len(s.options.Digests) > 0 {
		one, two := sha1.Sum(s.data), sha256.Sum256(s.data)
		require.Equal(t, one[:], o.file.Digests.Get("sha1"))
		require.Equal(t, two[:], o.file.Digests.Get("sha256"))
	}
	require.Len(t, b.Calls(faults.UploadPart), o.file.Parts+o.stats.Restarts)
}

func (s *memoryScenario) requireNothingFinished(t *testing.T, e *sluice.Error, b *faults.Backend, memory *memorybackend.Backend) {
	started := 0
	for _, c := range b.Calls(faults.StartLargeFile) {
		if c.Err == nil {
			started++
		}
	}
	cancels, left := len(b.Calls(faults.Cancel)), memory.Leftovers("")
	switch {
	case errors.Is(e, sluice.ErrFinishUnknown):
		require.Zero(t, cancels)
		if names := memory.Names(); len(names) > 0 {
			require.Equal(t, []string{"f"}, names)
			tally.doubtful.Add(1)
			verify(t, stored(t, memory, "f"), s.data)
		}
		return
	case s.options.KeepOnFailure:
		require.Zero(t, cancels)
		require.Len(t, left, started)
		require.Equal(t, started == 1, e.LargeFile != "")
	default:
		require.Equal(t, started, cancels, "cancel exactly once")
		require.Equal(t, e.Cleanup != nil, e.LargeFile != "")
		if e.Cleanup == nil {
			require.Empty(t, left)
		}
	}
	require.Empty(t, memory.Names())
	for _, c := range b.Calls(faults.Finish) {
		require.Error(t, c.Err)
	}
}

func stored(t *testing.T, memory *memorybackend.Backend, name string) []byte {
	data, err := fs.ReadFile(memory.FS(), name)
	require.NoError(t, err)
	return data
}

func TestStreams(t *testing.T) {
	sweep(t, 4300, bubble(func(t *testing.T, rng *rand.Rand) { randomMemoryScenario(rng).run(t, rng) }))
}
