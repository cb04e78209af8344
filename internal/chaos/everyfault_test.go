package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// Streams of a few shapes, where the first call of the store goes wrong, then
// the second one, and so on until none is left that could.
func TestEveryFaultSurfacesAndLeavesNothing(t *testing.T) {
	const part = 4 * page
	shapes := map[string]func(*memoryScenario) (size int){
		"single": func(*memoryScenario) int { return part },
		"empty":  func(*memoryScenario) int { return 0 },
		"large":  func(*memoryScenario) int { return 10*part + 1 },
		"digests": func(s *memoryScenario) int {
			s.limits.WholeDigests = []sluice.Algorithm{sha1Algorithm}
			return 5 * part
		},
		"planned": func(s *memoryScenario) int {
			s.limits.ServerSizesParts, s.limits.MaxSingle, s.limits.MinParts, s.limits.Resumable = true, 0, 1, false
			s.plan, s.options.Size, s.options.PartSize = part, 5*part, 0
			return 5 * part
		},
	}
	publishes := faults.OnKind(faults.Finish, faults.UploadFile)
	kinds := map[string]struct {
		inject func(nth faults.Condition) *faults.Injector
		causes []error
		cancel time.Duration
	}{
		"fail": {inject: func(nth faults.Condition) *faults.Injector { return faults.Fail(nil, nth) }, causes: []error{faults.ErrInjected}},
		"lose": {
			inject: func(nth faults.Condition) *faults.Injector { return faults.Lose(nil, faults.Not(publishes), nth) },
			causes: []error{faults.ErrInjected},
		},
		"lose the finish": {
			inject: func(nth faults.Condition) *faults.Injector {
				return faults.Lose(sluice.ErrFinishUnknown, publishes, nth)
			},
			causes: []error{sluice.ErrFinishUnknown},
		},
		"block": {
			inject: func(nth faults.Condition) *faults.Injector { return faults.Block(nth) },
			causes: []error{errCaller, context.DeadlineExceeded}, cancel: time.Minute,
		},
	}
	for shape, set := range shapes {
		for kind, k := range kinds {
			for _, keep := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, %v", shape, kind, keep), func(t *testing.T) {
					fired := 0
					for n := 1; ; n++ {
						s := &memoryScenario{pages: 16, latency: time.Millisecond}
						s.limits = sluice.Limits{
							MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true,
							PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
						}
						s.options = sluice.Options{PartSize: part, Concurrency: 3, KeepOnFailure: keep}
						rng := rand.New(rand.NewPCG(uint64(n), 0))
						s.data = content(rng, set(s))
						s.steps = []step{{n: len(s.data), how: writes}}
						if n%2 == 0 {
							s.steps[0].how = reads
						}
						s.causes, s.cancel = k.causes, k.cancel
						injector := k.inject(faults.Nth(n))
						s.faults = []*faults.Injector{injector}
						synctest.Test(t, func(t *testing.T) { s.run(t, rng) })
						if injector.Fired() == 0 {
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
