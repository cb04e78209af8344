package sluice_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// scenario is one stream with everything about it decided: the store, the settings, how it is fed, what
// goes wrong and when. It runs in a bubble, so that hours of waiting cost nothing.
type scenario struct {
	limits   sluice.Limits
	plan     int64
	latency  time.Duration
	options  sluice.Options
	pages    int
	buffered bool // pages in a file
	steps    []step
	fault    *faults.Injector
	slow     *faults.Injector // uploads that straggle
	abort    time.Duration    // when Abort is called, 0 never
	cancel   time.Duration    // when the caller's context ends, 0 never
	hedges   int              // that there were
}

// step feeds n bytes in one of several ways.
type step struct {
	n    int
	how  int
	wait time.Duration // of the source, before
}

var (
	errSource = errors.New("source failed")
	errCaller = errors.New("caller gave up")
	errAbort  = errors.New("aborted by the scenario")
)

func randomScenario(rng *rand.Rand) *scenario {
	s := &scenario{pages: 4 + rng.IntN(16)}
	s.limits = sluice.Limits{
		MinPart: int64(rng.IntN(2) * page), MinParts: 1 + rng.IntN(2), MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
		PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
	}
	ms := func(n int) time.Duration { return time.Duration(rng.IntN(n)) * time.Millisecond }
	if rng.IntN(2) == 0 {
		s.latency = ms(200)
	}
	s.options = sluice.Options{Concurrency: rng.IntN(5)}
	half := s.pages - s.pages/2
	if rng.IntN(2) == 0 {
		s.options.PartSize = int64(page + rng.IntN((half-1)*page+1))
	}
	if rng.IntN(3) == 0 {
		s.options.Digests = []sluice.Algorithm{{Name: "sha1", New: sha1.New}, memorybackend.SHA256()}
	}
	if rng.IntN(4) == 0 {
		s.limits.WholeDigests = []sluice.Algorithm{{Name: "sha1", New: sha1.New}}
	}
	part := int(max(s.options.PartSize, page))
	// Sizes around every edge: n parts, one byte less, one more; and anything.
	total := rng.IntN(6)*part + rng.IntN(3) - 1
	if rng.IntN(3) == 0 {
		total = rng.IntN(40 * page)
	}
	total = max(total, 0)
	if rng.IntN(5) == 0 && total > 0 {
		s.options.Size = int64(total)
		if rng.IntN(2) == 0 {
			s.limits.PlansParts, s.limits.MinParts, s.limits.MaxSingle = true, 1, 0
			s.limits.Resumable = false
			s.options.PartSize = 0
			s.plan = int64(1 + rng.IntN(half*page))
		}
	}
	for left := total; left > 0; {
		n := 1 + rng.IntN(left)
		s.steps = append(s.steps, step{n, rng.IntN(6), ms(1 + rng.IntN(2)*20)})
		left -= n
	}
	if rng.IntN(12) == 0 {
		s.steps = append(s.steps, step{rng.IntN(2 * part), -1, 0}) // a source that fails in the end
	}
	nth := faults.Nth(1 + rng.IntN(12))
	switch rng.IntN(10) {
	case 0, 1:
		s.fault = faults.Fail(nil, nth)
	case 2:
		s.fault = faults.Retry(nil, nth)
	case 3:
		s.fault = faults.Delay(ms(1000), nth)
	case 4:
		s.fault = faults.Block(nth)
		s.abort = time.Second + ms(1000)
	case 5:
		s.fault = faults.Lose(nil, faults.OnKind(faults.StartLargeFile, faults.UploadPart, faults.Cancel), nth)
	case 6:
		s.fault = faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(faults.Finish, faults.UploadFile))
	}
	if s.limits.Repeatable = rng.IntN(2) == 0; s.limits.Repeatable {
		oneIn := 1 + rng.IntN(8)
		s.slow = faults.Delay(time.Second+ms(10_000), faults.OnKind(faults.UploadPart), func(faults.Op) bool { return rng.IntN(oneIn) == 0 })
	}
	switch rng.IntN(8) {
	case 0:
		s.abort = ms(500)
	case 1:
		s.cancel = ms(500)
	}
	if rng.IntN(3) == 0 {
		s.options.OnFailure = sluice.Keep
	}
	s.buffered = rng.IntN(4) == 0
	return s
}

// feed runs the steps and returns what the writer said it accepted.
func (s *scenario) feed(t *testing.T, w *sluice.LargeFileWriter, pool *sluice.Pool, data []byte) (accepted int, err error) {
	for _, step := range s.steps {
		time.Sleep(step.wait)
		var n int64
		piece := data[:min(step.n, len(data))]
		source := bytes.NewReader(piece)
		switch step.how {
		case 0, 1:
			k, e := w.Write(piece)
			n, err = int64(k), e
		case 2:
			n, err = w.ReadFrom(iotest.OneByteReader(source))
		case 3:
			n, err = w.ReadFrom(iotest.HalfReader(source))
		case 4:
			n, err = w.ReadFrom(iotest.DataErrReader(source))
		case 5:
			n, err = w.ReadFrom(source)
		default:
			n, err = w.ReadFrom(io.MultiReader(source, iotest.ErrReader(errSource)))
		}
		accepted += int(n)
		data = data[min(int(n), len(data)):]
		requireOrdered(t, w.Stats())
		require.LessOrEqual(t, pool.InUse(), pool.Limit())
		if err != nil {
			return accepted, err
		}
	}
	return accepted, nil
}

func requireOrdered(t *testing.T, s sluice.Stats) {
	require.GreaterOrEqual(t, s.Accepted, s.Hashed)
	require.GreaterOrEqual(t, s.Hashed, s.Sent)
	require.GreaterOrEqual(t, s.Sent, s.Acknowledged)
	require.Equal(t, s.Elapsed, s.WaitSource+s.WaitMemory+s.WaitNetwork)
}

func (s *scenario) run(t *testing.T) {
	memory := memorybackend.New(&memorybackend.Options{Limits: &s.limits, PlanPart: s.plan, Latency: s.latency})
	var injectors []*faults.Injector
	if s.fault != nil {
		injectors = append(injectors, s.fault)
	}
	if s.slow != nil {
		injectors = append(injectors, s.slow)
	}
	b := faults.New(memory, injectors...)
	var pool *sluice.Pool
	var err error
	if s.buffered {
		pool, err = sluice.NewFilePool(t.TempDir(), int64(s.pages)*page, page)
	} else {
		pool, err = sluice.NewPool(int64(s.pages)*page, page)
	}
	require.NoError(t, err)
	defer pool.Close()
	s.options.Pool = pool

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w, err := sluice.New(ctx, b, "f", &s.options)
	require.NoError(t, err)
	var others sync.WaitGroup
	ended := make(chan struct{})
	at := func(d time.Duration, f func()) {
		if d > 0 {
			others.Go(func() {
				select {
				case <-time.After(d):
					f()
				case <-ended:
				}
			})
		}
	}
	at(s.abort, func() { w.Abort(errAbort) })
	at(s.cancel, func() { cancel(errCaller) })

	total := 0
	for _, step := range s.steps {
		total += step.n
	}
	data := content(total)
	accepted, feedErr := s.feed(t, w, pool, data)
	closeErr := w.Close()
	close(ended)
	others.Wait()

	require.Equal(t, closeErr, w.Close(), "Close repeats itself")
	_, err = w.Write([]byte{1})
	require.Error(t, err)
	require.Zero(t, pool.InUse(), "all pages are home")
	require.Zero(t, w.Stats().Memory)
	require.Zero(t, w.Stats().PartsInFlight)
	s.hedges = w.Stats().Hedges
	requireOrdered(t, w.Stats())
	if closeErr == nil {
		s.requireWhole(t, w, b, memory, data[:accepted], feedErr)
	} else {
		s.requireNothingFinished(t, b, memory, closeErr, feedErr)
	}
}

func (s *scenario) requireWhole(t *testing.T, w *sluice.LargeFileWriter, b *faults.Backend, memory *memorybackend.Backend, data []byte, feedErr error) {
	require.NoError(t, feedErr, "a stream that failed is not finished")
	require.Equal(t, data, readBack(t, memory, "f"))
	require.Empty(t, memory.Leftovers(""))
	require.Empty(t, b.Calls(faults.Cancel))
	require.Len(t, b.Calls(faults.Finish, faults.UploadFile), 1)
	f, stats := w.File(), w.Stats()
	require.EqualValues(t, len(data), f.Size)
	require.EqualValues(t, len(data), stats.Acknowledged)
	if len(s.options.Digests) > 0 {
		sum := sha1.Sum(data)
		require.Equal(t, sum[:], f.Digests.Get("sha1"))
		require.Equal(t, sum256(data), f.Digests.Get("sha256"))
	}
	if f.Parts == 0 {
		require.Empty(t, b.Calls(faults.StartLargeFile))
	} else {
		require.Len(t, b.Calls(faults.UploadPart), f.Parts+stats.Hedges)
	}
}

func (s *scenario) requireNothingFinished(t *testing.T, b *faults.Backend, memory *memorybackend.Backend, closeErr, feedErr error) {
	var e *sluice.Error
	require.ErrorAs(t, closeErr, &e)
	if feedErr != nil && !errors.Is(closeErr, sluice.ErrFinishUnknown) {
		var first *sluice.Error
		require.ErrorAs(t, feedErr, &first)
		require.Equal(t, first.Err, e.Err, "the first failure is the one that every call returns")
	}
	known := []error{errSource, errCaller, errAbort, faults.ErrInjected, sluice.ErrFinishUnknown, sluice.ErrShortStream, sluice.ErrLongStream}
	matches := 0
	for _, k := range known {
		if errors.Is(closeErr, k) {
			matches++
		}
	}
	require.NotZero(t, matches, "%v", closeErr)

	started := 0
	for _, c := range b.Calls(faults.StartLargeFile) {
		if c.Err == nil {
			started++
		}
	}
	cancels := len(b.Calls(faults.Cancel))
	left := memory.Leftovers("")
	switch {
	case errors.Is(closeErr, sluice.ErrFinishUnknown):
		require.Zero(t, cancels)
	case s.options.OnFailure == sluice.Keep:
		require.Zero(t, cancels)
		require.Len(t, left, started)
		require.Equal(t, started == 1, e.LargeFile != "")
		require.Empty(t, memory.Names())
	default:
		require.Equal(t, started, cancels, "cancel exactly once")
		require.Empty(t, memory.Names())
		if e.Cleanup == nil {
			require.Empty(t, left)
			require.Empty(t, e.LargeFile)
		} else {
			require.NotEmpty(t, e.LargeFile)
		}
	}
	if !errors.Is(closeErr, sluice.ErrFinishUnknown) {
		for _, c := range b.Calls(faults.Finish) {
			require.Error(t, c.Err)
		}
	}
}

func TestModel(t *testing.T) {
	hedges := 0
	for seed := range uint64(1500) {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := randomScenario(rand.New(rand.NewPCG(seed, 0)))
				s.run(t)
				hedges += s.hedges
			})
		})
		if !ok {
			return // one is enough to look at
		}
	}
	require.Positive(t, hedges)
}

func TestEveryFaultSurfacesAndLeavesNothing(t *testing.T) {
	shapes := map[string]func(*scenario){
		"single": func(s *scenario) { s.steps = []step{{part, 0, 0}} },
		"empty":  func(s *scenario) {},
		"large":  func(s *scenario) { s.steps = []step{{10*part + 1, 0, 0}} },
		"hedged": func(s *scenario) {
			s.steps = []step{{10 * part, 0, 0}}
			s.limits.Repeatable = true
			s.slow = faults.Delay(30*time.Second, faults.OnPart(8), faults.Nth(1))
		},
		"digests": func(s *scenario) {
			s.steps = []step{{5 * part, 5, 0}}
			s.limits.WholeDigests = []sluice.Algorithm{{Name: "sha1", New: sha1.New}}
		},
		"planned": func(s *scenario) {
			s.steps = []step{{5 * part, 5, 0}}
			s.limits.PlansParts, s.limits.MaxSingle, s.limits.MinParts, s.limits.Resumable = true, 0, 1, false
			s.plan, s.options.Size, s.options.PartSize = part, 5*part, 0
		},
	}
	injectors := map[string]func(n int) *faults.Injector{
		"fail": func(n int) *faults.Injector { return faults.Fail(nil, faults.Nth(n)) },
		"lose": func(n int) *faults.Injector {
			return faults.Lose(nil, faults.Not(faults.OnKind(faults.Finish, faults.UploadFile)), faults.Nth(n))
		},
		"lose the finish": func(n int) *faults.Injector {
			return faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(faults.Finish, faults.UploadFile), faults.Nth(n))
		},
		"block": func(n int) *faults.Injector { return faults.Block(faults.Nth(n)) },
	}
	for shape, set := range shapes {
		for kind, inject := range injectors {
			for _, onFailure := range []sluice.OnFailure{sluice.Cancel, sluice.Keep} {
				t.Run(fmt.Sprintf("%s, %s, %d", shape, kind, onFailure), func(t *testing.T) {
					fired := 0
					for n := 1; ; n++ {
						s := &scenario{limits: smallLimits(), pages: 8, latency: time.Millisecond}
						s.options = sluice.Options{PartSize: part, Concurrency: 3, OnFailure: onFailure}
						set(s)
						s.fault = inject(n)
						if kind == "block" {
							s.cancel = time.Minute
						}
						synctest.Test(t, s.run)
						if s.fault.Fired() == 0 {
							require.Equal(t, shape == "hedged", s.hedges == 1)
							break // nothing is left to fail
						}
						fired++
					}
					if kind != "lose" || shape != "single" && shape != "empty" {
						require.Positive(t, fired)
					}
				})
			}
		}
	}
}
