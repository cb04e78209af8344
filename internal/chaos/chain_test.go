package chaos

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// A stream is broken off again and again, each run being set otherwise, and
// goes on until it is done.
func TestChainsOfResumedStreams(t *testing.T) {
	sweep(t, 1500, bubble(func(t *testing.T, rng *rand.Rand) {
		limits := sluice.Limits{
			MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
			PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
		}
		memory := memorybackend.New(&memorybackend.Options{Limits: &limits, Latency: upTo(rng, 100*time.Millisecond)})
		data := content(rng, rng.IntN(60*page))
		var id string
		pages, concurrency, partSize := 8+rng.IntN(24), rng.IntN(6), int64(0)
		alike := !oneIn(rng, 4) // all runs, as far as that decides where the stream is cut
		changed, restarts := false, 0
		for run := 1; ; run++ {
			require.Less(t, run, 100, "the chain does not end")
			s := &stream{steps: randomSteps(rng, len(data))}
			if len(data) > 0 && oneIn(rng, 4) {
				data[rng.IntN(len(data))]++ // the source is not quite what it was
				changed = true
			}
			if s.data = data; changed || !alike {
				// or the parts behind a gap were cut differently
				s.causes = []error{sluice.ErrResumeMismatch}
			}
			if !alike {
				pages, concurrency = 8+rng.IntN(24), rng.IntN(6)
				s.texts = []string{moreMemory}
			}
			pool := newPool(t, pages, oneIn(rng, 10))
			if run == 1 || !alike {
				partSize = page * rng.Int64N(1+pool.MaxPart()/page) // or the default
			}
			s.options = sluice.Options{Pool: pool, Concurrency: concurrency, PartSize: partSize, Resume: true}
			if id != "" && oneIn(rng, 2) {
				s.options.Resume, s.options.ResumeID = false, id
			} else if oneIn(rng, 3) {
				s.options.RestartOnMismatch, restarts = true, restarts+1
			}
			f := s.breakOff(rng)
			b := faults.New(memory, f)
			o := s.run(t, b, "f")
			tally.faults.Add(int64(f.Fired()))
			require.Zero(t, pool.InUse())
			require.NoError(t, pool.Close())
			if o.err == nil {
				if c := b.Calls(faults.Cancel); restarts > 0 || len(c) > 0 && c[0].Err != nil {
					// A large file that the file replaces could not be cancelled,
					// or an earlier run has started anew.
					cancelLeftovers(t, memory)
				}
				break
			}
			require.Empty(t, memory.Names())
			left := memory.Leftovers("")
			require.LessOrEqual(t, len(left), 1+restarts)
			if id = ""; len(left) > 0 {
				id = left[len(left)-1].ID
			}
			if errors.Is(o.err, sluice.ErrResumeMismatch) && !s.options.RestartOnMismatch {
				id, changed = "", false
				cancelLeftovers(t, memory)
			}
		}
		verify(t, stored(t, memory, "f"), data)
		require.Empty(t, memory.Leftovers(""))
	}))
}

// moreMemory is in the error of a run for which a stored part is over half the memory.
const moreMemory = "set MemoryLimit to at least"

// breakOff decides how this run ends, if it does not end well.
func (s *stream) breakOff(rng *rand.Rand) *faults.Injector {
	switch rng.IntN(5) {
	case 0:
		s.causes = append(s.causes, errAbort)
		s.abort = 1 + upTo(rng, time.Second)
	case 1:
		s.causes = append(s.causes, errCaller)
		s.cancel = 1 + upTo(rng, time.Second)
	case 2:
		at := rng.IntN(len(s.steps) + 1)
		s.steps = append(s.steps[:at], step{how: fails, err: sourceErrors[0]})
		s.causes = append(s.causes, sourceErrors[0])
	case 3:
		return faults.Delay(1 + upTo(rng, time.Hour))
	}
	s.causes = append(s.causes, faults.ErrInjected)
	return faults.Fail(nil, faults.Nth(1+rng.IntN(15)))
}

// cancelLeftovers cancels what is unfinished, as a user does before a new start.
func cancelLeftovers(t *testing.T, b *memorybackend.Backend) {
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		large, err := b.ResumeLargeFile(t.Context(), u.Spec, u.ID)
		require.NoError(t, err)
		require.NoError(t, large.Cancel(t.Context()))
	}
}
