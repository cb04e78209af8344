package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// apart is the test to a goroutine that is not its own: what fails there ends
// that goroutine, and the test must look.
type apart struct{ testing.TB }

func (a apart) FailNow() {
	a.Fail()
	runtime.Goexit()
}

func (a apart) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

// Up to 64 writers, some of which fail, hang, or are given up, share pages for
// fewer parts than there are writers.
func TestSharedPools(t *testing.T) {
	sweep(t, 300, bubble(func(t *testing.T, rng *rand.Rand) {
		limits := sluice.Limits{
			MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
			PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
		}
		memory := memorybackend.New(&memorybackend.Options{Limits: &limits, Latency: 1 + upTo(rng, 100*time.Millisecond)})
		pool := newPool(t, 4+rng.IntN(40), oneIn(rng, 10))
		defer pool.Close()
		var writers sync.WaitGroup
		full := fillDisk(t, rng, pool, 100)
		quiet := false
		streams := make([]*stream, 2+rng.IntN(63))
		outcomes := make([]outcome, len(streams))
		stores := make([]*faults.Backend, len(streams))
		for i := range streams {
			s := &stream{data: content(rng, rng.IntN(30*page)), disk: full}
			s.options.Pool, s.options.Concurrency = pool, rng.IntN(4)
			if oneIn(rng, 2) {
				s.options.PartSize = page * (1 + rng.Int64N(pool.MaxPart()/page))
			}
			s.steps = randomSteps(rng, len(s.data))
			s.spoil(rng, time.Minute)
			s.causes = append(s.causes, sluice.ErrPoolBlocked)
			quiet = quiet || silent(s.steps)
			var injectors []*faults.Injector
			switch rng.IntN(6) {
			case 0:
				injectors = append(injectors, faults.Fail(nil, faults.Nth(1+rng.IntN(10))))
				s.causes = append(s.causes, faults.ErrInjected)
			case 1:
				injectors = append(injectors, faults.Retry(sluice.ErrSlowDown, storm(rng.IntN(4), rng.IntN(10))))
			case 2:
				injectors = append(injectors, outage(upTo(rng, time.Second), upTo(rng, time.Hour)))
			}
			streams[i], stores[i] = s, faults.New(memory, injectors...)
			writers.Go(func() {
				outcomes[i] = s.run(apart{t}, stores[i], fmt.Sprint(i))
				for _, f := range injectors {
					tally.faults.Add(int64(f.Fired()))
				}
			})
		}
		writers.Wait()
		if t.Failed() {
			t.FailNow()
		}
		require.Zero(t, pool.InUse(), "all pages are home")
		finished, kept := 0, 0
		for i, o := range outcomes {
			switch {
			case o.err == nil:
				finished++
				verify(t, stored(t, memory, fmt.Sprint(i)), streams[i].data)
			case o.err.LargeFile != "":
				kept++
			}
			if o.err != nil && errors.Is(o.err, sluice.ErrPoolBlocked) {
				require.True(t, quiet, "no source was silent: %v", o.err)
			}
		}
		require.Len(t, memory.Names(), finished)
		require.Len(t, memory.Leftovers(""), kept, "only what was to be kept is left")
	}))
}
