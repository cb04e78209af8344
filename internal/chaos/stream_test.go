package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

var (
	errCaller = errors.New("caller gave up")
	errAbort  = errors.New("aborted by the scenario")
)

// stream is one stream with everything about it decided, but for its store.
type stream struct {
	data    []byte
	steps   []step
	options sluice.Options
	abort   time.Duration // when Abort is called, 0 never
	cancel  time.Duration // when the caller's context ends, 0 never
	crowd   bool          // others call Close and Abort at the same time as the owner calls Close
	// that the pages are on, and those of others; nil: one with room, or memory
	disk *disk

	// causes are what may fail the stream. Without any it has to succeed;
	// otherwise a failure is one of them.
	causes []error
	// texts are in errors that may come as well, and have no value to test for.
	texts []string
}

// spoil decides what goes wrong beside the store.
func (s *stream) spoil(rng *rand.Rand, within time.Duration) {
	switch rng.IntN(12) {
	case 0:
		s.abort = 1 + upTo(rng, within)
	case 1:
		s.cancel = 1 + upTo(rng, within)
	case 2:
		s.steps = append(s.steps, step{how: fails, err: sourceErrors[rng.IntN(len(sourceErrors))]})
		s.causes = append(s.causes, s.steps[len(s.steps)-1].err)
	case 3:
		s.steps = append(s.steps, step{how: hangs})
		s.abort = 1 + upTo(rng, within)
	case 4:
		s.steps = append(s.steps, step{how: hangs})
		s.cancel = 1 + upTo(rng, within)
	case 5:
		s.crowd = true
		s.causes = append(s.causes, sluice.ErrAborted)
	}
	if s.abort > 0 {
		s.causes = append(s.causes, errAbort)
	}
	if s.cancel > 0 {
		s.causes = append(s.causes, errCaller)
	}
	if oneIn(rng, 3) {
		s.options.KeepOnFailure = true
	}
}

// outcome is what came of a stream.
type outcome struct {
	accepted int
	file     sluice.File
	stats    sluice.Stats
	err      *sluice.Error // nil: finished
}

// run feeds the stream to its end and checks what holds with any store. A
// failure to open is an outcome as well.
func (s *stream) run(t testing.TB, b sluice.Backend, name string) outcome {
	pool := s.options.Pool
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w, err := sluice.New(ctx, b, name, &s.options)
	if err != nil {
		return outcome{err: s.check(t, err, nil)}
	}
	defer w.Abort(nil)
	var others sync.WaitGroup
	ended, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	at := func(d time.Duration, end func()) {
		if d == 0 {
			return
		}
		others.Go(func() {
			select {
			case <-time.After(d):
				end()
				// only now: nothing may wait for a source that hangs
				once.Do(func() { close(release) })
			case <-ended:
			}
		})
	}
	at(s.abort, func() { w.Abort(errAbort) })
	at(s.cancel, func() {
		cancel(errCaller)
		_ = w.Close()
	})

	accepted, feedErr := s.feed(t, w, pool, release)
	if s.crowd {
		for range 3 {
			others.Go(func() { _ = w.Close() })
			others.Go(func() { w.Abort(nil) })
		}
	}
	closeErr := w.Close()
	close(ended)
	others.Wait()

	require.Equal(t, closeErr, w.Close(), "Close repeats itself")
	w.Abort(errors.New("too late"))
	require.Equal(t, closeErr, w.Close(), "Abort after Close does nothing")
	_, err = w.Write([]byte{1})
	require.Error(t, err)
	stats := w.Stats()
	require.Zero(t, stats.Memory)
	require.Zero(t, stats.PartsInFlight)
	requireOrdered(t, stats)
	o := outcome{accepted: accepted, file: w.File(), stats: stats}
	if closeErr != nil {
		o.err = s.check(t, closeErr, feedErr)
		require.Zero(t, o.file)
		return o
	}
	require.NoError(t, feedErr, "a stream that failed is not finished")
	require.Equal(t, len(s.data), accepted)
	require.EqualValues(t, len(s.data), o.file.Size)
	require.EqualValues(t, len(s.data), stats.Acknowledged)
	require.Equal(t, max(1, o.file.Parts), stats.PartsDone, "no part is counted twice")
	return o
}

// feed runs the steps and returns how many bytes the writer took.
func (s *stream) feed(t testing.TB, w *sluice.LargeFileWriter, pool *sluice.Pool, release <-chan struct{}) (accepted int, err error) {
	data := s.data
	for _, step := range s.steps {
		piece := data[:min(step.n, len(data))]
		n, err := step.feed(t, w, piece, release)
		accepted += n
		data = data[min(n, len(data)):]
		stats := w.Stats()
		requireOrdered(t, stats)
		require.LessOrEqual(t, pool.InUse(), pool.Limit())
		select {
		case <-w.Done(): // parts of a failed stream go unacknowledged
		default:
			require.LessOrEqual(t, stats.Accepted-stats.Acknowledged, pool.Limit(), "the source is held back")
		}
		if err != nil {
			return accepted, err
		}
	}
	return accepted, nil
}

// check compares a failure with what could cause it. The first one is what every call returns.
func (s *stream) check(t testing.TB, err, feedErr error) *sluice.Error {
	var e *sluice.Error
	require.ErrorAs(t, err, &e)
	if feedErr != nil && !errors.Is(err, sluice.ErrFinishUnknown) {
		var first *sluice.Error
		require.ErrorAs(t, feedErr, &first)
		if e.Err.Error() != first.Err.Error() { // Close also knows what the store answered last
			require.ErrorContains(t, e.Err, first.Err.Error()+" (last failure: ")
		} else {
			require.Equal(t, first.Err, e.Err, "the first failure is the one that every call returns")
		}
	}
	if s.disk.wasFull() && e.Op == "buffer" {
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, `sluice: buffer "`+e.Name+`": write `)
		return e
	}
	for _, cause := range s.causes {
		if errors.Is(err, cause) {
			return e
		}
	}
	for _, text := range s.texts {
		if strings.Contains(err.Error(), text) {
			return e
		}
	}
	t.Fatalf("failed with %v, which is none of %v, %q", err, s.causes, s.texts)
	return nil
}

func requireOrdered(t testing.TB, s sluice.Stats) {
	require.GreaterOrEqual(t, s.Accepted, s.Hashed)
	require.GreaterOrEqual(t, s.Hashed, s.Sent)
	require.GreaterOrEqual(t, s.Sent, s.Acknowledged)
	require.Equal(t, s.Elapsed, s.WaitSource+s.WaitMemory+s.WaitNetwork)
}
