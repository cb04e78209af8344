// Package life is the life of a large file in a store whose answers can be lost: how far it has come, as far as that
// is known, and what may be done with it then.
package life

import (
	"fmt"
	"sync"

	"github.com/c1508ce4/sluice"
)

// State is how far a large file has come.
type State int

// The states. Unknown means that a finish was asked for, and nobody knows whether it was done.
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

// Cycle keeps the state of one large file, which is Open at first. It may be used concurrently.
type Cycle struct {
	Name string // what errors call the large file

	mu    sync.Mutex
	state State
}

// Now is the state.
func (c *Cycle) Now() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Become changes the state, whatever it was.
func (c *Cycle) Become(next State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = next
}

// Require fails unless the state is the one wanted, and then changes it to next.
func (c *Cycle) Require(want, next State) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != want {
		return fmt.Errorf("%s is %v", c.Name, c.state)
	}
	c.state = next
	return nil
}

// MayCancel tells whether there is anything to cancel. It fails while the outcome of a finish is open: what a cancel does
// to one that the store is at work on, nobody promises. After one whose outcome is unknown the error matches
// [sluice.ErrFinishUnknown].
func (c *Cycle) MayCancel() (bool, error) {
	switch state := c.Now(); state {
	case Finished, Cancelled:
		return false, nil
	case Finishing:
		return false, fmt.Errorf("%s is %v", c.Name, state)
	case Unknown:
		return false, fmt.Errorf("%s is not cancelled: %w", c.Name, sluice.ErrFinishUnknown)
	default:
		return true, nil
	}
}
