package localserver

import "sync"

// Script is the faults that a server commits, in the order in which they were
// added. F says what a fault is. The zero value has none. All methods may be
// called concurrently.
type Script[F any] struct {
	mu     sync.Mutex
	faults []*scripted[F]
}

// Scripted is a fault and how far it has come.
type Scripted[F any] struct {
	Fault F
	Seen  int // requests that came to it
	Fired int // of them, those it was committed on
}

type scripted[F any] struct {
	Scripted[F]
	skip, count int
}

// Add appends a fault that lets the first skip of its requests pass, and is for
// count of those that follow: 0 means one, a negative number all.
func (s *Script[F]) Add(f F, skip, count int) {
	if count == 0 {
		count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &scripted[F]{Scripted: Scripted[F]{Fault: f}, skip: skip, count: count})
}

// Meet finds the fault for a request, false if there is none: the first that
// matches, is not spent, and has let enough requests pass. A request comes to
// those before that one, and to none behind it.
func (s *Script[F]) Meet(matches func(F) bool) (F, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.count >= 0 && f.Fired >= f.count || !matches(f.Fault) {
			continue
		}
		if f.Seen++; f.Seen <= f.skip {
			continue
		}
		f.Fired++
		return f.Fault, true
	}
	var none F
	return none, false
}

// All is every fault as it stands.
func (s *Script[F]) All() []Scripted[F] {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Scripted[F], len(s.faults))
	for i, f := range s.faults {
		all[i] = f.Scripted
	}
	return all
}

// Clear forgets all faults.
func (s *Script[F]) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}
