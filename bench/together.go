package main

import (
	"sync"
	"sync/atomic"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// together are streams on one Pool. How alike they fare is seen between two
// moments, so that one that came first and had the whole Pool is no faster for it:
// when the store has something of every stream, and when it has all of one.
type together struct {
	streams []*stream
	begun   atomic.Int32 // streams of which the store has something

	mu      sync.Mutex
	atStart lab.Series // bytes acknowledged when all had begun; nil before
	ended   bool
	least   float64
}

// begins is called by each stream of which the store has something.
func (t *together) begins() {
	if int(t.begun.Add(1)) < len(t.streams) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.atStart = t.acknowledged()
}

// ends is called by each stream that the store has. If some had not begun when
// the first one ended, they starved.
func (t *together) ends() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	if t.atStart == nil {
		return
	}
	advanced := t.acknowledged()
	for i, n := range t.atStart {
		advanced[i] -= n
	}
	t.least = advanced.Min() / max(1, advanced.Max()) // JSON has no 0 / 0
}

func (t *together) acknowledged() lab.Series {
	bytes := make(lab.Series, len(t.streams))
	for i, s := range t.streams {
		if w := s.opened.Load(); w != nil {
			bytes[i] = float64(w.Stats().Acknowledged)
		}
	}
	return bytes
}
