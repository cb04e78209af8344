package chaos

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/pipenet"
)

// randomOutages are up to three, each of at most half an hour, in which the
// network or the service is away.
func randomOutages(rng *rand.Rand) []event {
	var events []event
	for range 1 + rng.IntN(3) {
		var begin, end func(*service)
		weather := func(w pipenet.Weather) func(*service) {
			return func(s *service) { s.network.SetWeather(w) }
		}
		switch end = weather(pipenet.Up); rng.IntN(4) {
		case 0: // a cut cable
			begin = weather(pipenet.Silent)
		case 1: // a host that starts anew
			begin = func(s *service) {
				s.network.SetWeather(pipenet.Refusing)
				s.reset()
				s.server.ExpireUploadTokens()
			}
		case 2: // a laptop that wakes up with everything expired
			begin = func(s *service) {
				s.network.SetWeather(pipenet.Silent)
				s.server.Advance(25 * time.Hour)
			}
		default: // a service that has too much to do
			status, after := []int{429, 500, 502, 503}[rng.IntN(4)], []string{"", "30", "3600"}[rng.IntN(3)]
			begin = func(s *service) {
				if err := s.server.Inject(b2test.Fault{Kind: b2test.Refuse, Status: status, RetryAfter: after, Count: -1}); err != nil {
					panic(err)
				}
			}
			end = func(s *service) { s.server.ClearFaults() }
		}
		events = append(events, event{upTo(rng, 5*time.Second), begin}, event{upTo(rng, 30*time.Minute), end})
	}
	return events
}

// A patient stream outlives any outage of half an hour. Its producer is held
// back meanwhile: what the service does not have yet fits the memory limit.
func TestOutages(t *testing.T) {
	sweep(t, 800, bubble(func(t *testing.T, rng *rand.Rand) {
		s := &b2Scenario{pages: 4 + rng.IntN(20), retry: sluice.Retry{Budget: 2 * time.Hour}, events: randomOutages(rng)}
		s.data = content(rng, rng.IntN(60*page))
		s.options.Concurrency = rng.IntN(6)
		s.steps = randomSteps(rng, len(s.data))
		if oneIn(rng, 8) {
			s.abort = 1 + upTo(rng, time.Hour)
			s.causes = append(s.causes, errAbort)
		}
		if oneIn(rng, 4) {
			s.options.KeepOnFailure = true
		}
		s.run(t, rng)
	}))
}
