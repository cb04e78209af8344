package chaos

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// shuffler is a transport that gives the answers of concurrent requests in
// another order than they came, and keeps some so long that the client has
// given up: what they answer has been done.
type shuffler struct {
	http.RoundTripper

	mu        sync.Mutex
	rng       *rand.Rand
	late      int // so many answers are kept for longer than a client waits
	kept      []chan struct{}
	reordered int // answers that later ones have overtaken
	tooLate   int // answers that came too late to be taken
}

func newShuffler(rng *rand.Rand, next http.RoundTripper) *shuffler {
	return &shuffler{RoundTripper: next, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), late: rng.IntN(2)}
}

func (s *shuffler) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	overtaken, longest := s.keep()
	if overtaken == nil {
		time.AfterFunc(1, s.release) // once this one has passed
		return resp, nil
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-overtaken:
	case <-timer.C:
	case <-req.Context().Done():
		_ = resp.Body.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tooLate++
		return nil, context.Cause(req.Context())
	}
	return resp, nil
}

// keep decides whether an answer is kept, and how long at most.
func (s *shuffler) keep() (overtaken chan struct{}, longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.late > 0 && oneIn(s.rng, 8):
		s.late--
		return make(chan struct{}), 2*time.Minute + upTo(s.rng, 25*time.Minute)
	case oneIn(s.rng, 3):
		overtaken = make(chan struct{})
		s.kept = append(s.kept, overtaken)
		return overtaken, 1 + upTo(s.rng, 30*time.Second)
	}
	return nil, 0
}

// release gives the answers that were kept, the last one first.
func (s *shuffler) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, overtaken := range slices.Backward(s.kept) {
		time.AfterFunc(time.Duration(len(s.kept)-i), func() { close(overtaken) })
	}
	s.reordered += len(s.kept)
	s.kept = nil
}

// struck is how often it did what it is for.
func (s *shuffler) struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reordered + s.tooLate
}
