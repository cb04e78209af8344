package sluice

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a stream. Accepted ≥ Hashed ≥ Sent ≥ Acknowledged holds in every snapshot.
type Stats struct {
	Accepted     int64 // bytes taken from Write and ReadFrom
	Hashed       int64 // bytes whose part digests are computed
	Sent         int64 // bytes handed to the store's connection, each byte once
	Acknowledged int64 // bytes the store has confirmed
	Resent       int64 // bytes sent again, by retries and hedges
	Reused       int64 // bytes that the store had from an earlier run; they count as sent

	PartsDone     int // acknowledged
	PartsInFlight int // being hashed or sent
	Concurrency   int // uploads allowed at once now
	Retries       int // attempts that failed and were followed by another
	Hedges        int // parts sent a second time while the first call was still under way

	Memory int64 // bytes of the Pool's pages that this writer holds
	Reach  int64 // the longest stream that the settings carry

	// Elapsed is the time from New to now, or to the end of Close or Abort. It is divided into the three
	// waits: what was not spent waiting for memory or the network was the source's.
	Elapsed     time.Duration
	WaitSource  time.Duration
	WaitMemory  time.Duration // the Pool is empty though uploads are free
	WaitNetwork time.Duration // all uploads are busy, or Close waits for the last ones
}

// meter is the counters behind Stats. All of it is atomic: a snapshot takes no lock.
type meter struct {
	hooks *Hooks

	accepted, hashed, sent, acknowledged, resent, reused atomic.Int64
	partsDone, partsInFlight, retries, hedges            atomic.Int64

	start   time.Time
	ended   atomic.Int64 // time since start, 0 while the stream lives
	memory  clock
	network clock
}

func newMeter(hooks *Hooks) *meter {
	if hooks == nil {
		hooks = new(Hooks)
	}
	return &meter{hooks: hooks, start: time.Now()}
}

// clock adds up the time that one goroutine at a time spends waiting.
type clock struct {
	total atomic.Int64
	since atomic.Int64 // when the wait under way began, plus one; 0 if none
}

func (c *clock) begin(m *meter) { c.since.Store(int64(time.Since(m.start)) + 1) }

func (c *clock) end(m *meter) {
	began := c.since.Load() - 1
	c.since.Store(0) // first, so that a reader in between misses the wait and does not count it twice
	c.total.Add(int64(time.Since(m.start)) - began)
}

// read is the time up to now. A wait that ends meanwhile may be missed once, and is never counted twice.
func (c *clock) read(now int64) time.Duration {
	since, total := c.since.Load(), c.total.Load()
	if since > 0 && c.since.Load() == since {
		total += max(0, now-(since-1))
	}
	return time.Duration(total)
}

func (m *meter) retrying(p *Part, err error, wait time.Duration) {
	m.retries.Add(1)
	m.hooks.partRetrying(p, err, wait)
}

func (m *meter) hedging(p *Part) {
	m.hedges.Add(1)
	m.hooks.partHedged(p)
}

func (m *meter) sending(fresh, again int64) {
	m.sent.Add(fresh)
	m.resent.Add(again)
}

// acknowledge counts p as confirmed, and as sent even if the store had no need to read all of it.
func (m *meter) acknowledge(p *Part) {
	m.sent.Add(p.tried.read(p.Size))
	m.acknowledged.Add(p.Size)
	m.partsDone.Add(1)
}

func (m *meter) end() { m.ended.Store(int64(max(1, time.Since(m.start)))) }

// snapshot loads the counters from the last to the first, so that none is seen ahead of the one before.
func (m *meter) snapshot() Stats {
	var s Stats
	s.Acknowledged = m.acknowledged.Load()
	s.Sent = m.sent.Load()
	s.Hashed = m.hashed.Load()
	s.Accepted = m.accepted.Load()
	s.Resent, s.Reused = m.resent.Load(), m.reused.Load()
	s.PartsDone = int(m.partsDone.Load())
	s.PartsInFlight = int(m.partsInFlight.Load())
	s.Retries = int(m.retries.Load())
	s.Hedges = int(m.hedges.Load())
	elapsed := m.ended.Load()
	if elapsed == 0 {
		elapsed = int64(time.Since(m.start))
	}
	s.Elapsed = time.Duration(elapsed)
	s.WaitMemory = min(m.memory.read(elapsed), s.Elapsed)
	s.WaitNetwork = min(m.network.read(elapsed), s.Elapsed-s.WaitMemory)
	s.WaitSource = s.Elapsed - s.WaitMemory - s.WaitNetwork
	return s
}
