// Package uploadstate tracks the state of a large file in a store whose answers
// can be lost, and reports what may be done with it in that state.
package uploadstate

import (
	"fmt"
	"sync"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// State is how far a large file has come.
type State int

// The states. Unknown means that a finish was requested and its outcome could
// not be learned.
const (
	Open State = iota
	Finishing
	Unknown
	Finished
	Cancelled
)

func (s State) String() string {
	return [...]string{"open", "being finished", "finished or not, which is unknown", "finished", "cancelled"}[s]
}

// Tracker holds the state of one large file, which is Open at first. Its
// methods may be called concurrently.
type Tracker struct {
	Name string // what errors call the large file

	mu    sync.Mutex
	state State
}

// Current returns the state.
func (t *Tracker) Current() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Set changes the state, whatever it was.
func (t *Tracker) Set(next State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = next
}

// Settle changes the state after a finish of that outcome.
func (t *Tracker) Settle(finish retry.Outcome) {
	t.Set(map[retry.Outcome]State{retry.Done: Finished, retry.NotDone: Open, retry.Unknown: Unknown}[finish])
}

// Change changes the state from one to another. It fails if the state is not
// from.
func (t *Tracker) Change(from, to State) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != from {
		return fmt.Errorf("%s is %v", t.Name, t.state)
	}
	t.state = to
	return nil
}

// RequireOpen fails unless the state is Open.
func (t *Tracker) RequireOpen() error { return t.Change(Open, Open) }

// MayCancel reports whether there is anything to cancel. It fails while the
// outcome of a finish is open, because no store documents what a cancel does to
// a finish under way. If the outcome is unknown, the error matches
// [sluice.ErrFinishUnknown].
func (t *Tracker) MayCancel() (bool, error) {
	switch state := t.Current(); state {
	case Finished, Cancelled:
		return false, nil
	case Finishing:
		return false, fmt.Errorf("%s is %v", t.Name, state)
	case Unknown:
		return false, fmt.Errorf("%s is not cancelled: %w", t.Name, sluice.ErrFinishUnknown)
	default:
		return true, nil
	}
}
