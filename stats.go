package sluice

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// Stats is a snapshot of a stream. Accepted ≥ Hashed ≥ Sent ≥ Acknowledged holds
// in every snapshot.
type Stats struct {
	Accepted     int64 // bytes taken from Write and ReadFrom
	Hashed       int64 // bytes whose part digests are computed
	Sent         int64 // bytes handed to the store's connection, each byte once
	Acknowledged int64 // bytes the store has confirmed
	Resent       int64 // bytes sent again, by retries
	Reused       int64 // bytes that the store had from an earlier run; they count as sent

	PartsDone     int // acknowledged
	PartsInFlight int // being hashed or sent
	Concurrency   int // uploads allowed at once now
	Retries       int // attempts that failed and were followed by another
	Restarts      int // uploads that the writer ended and started again: see [LargeFileWriter]

	Memory        int64 // bytes of the Pool's pages that this writer holds
	MaxStreamSize int64 // the longest stream that the settings carry

	// Elapsed is the time from New to now, or to the end of Close or Abort. It
	// is divided into the three waits: what was not spent waiting for memory or
	// the network was the source's.
	Elapsed     time.Duration
	WaitSource  time.Duration
	WaitMemory  time.Duration // the Pool is empty though uploads are free
	WaitNetwork time.Duration // all uploads are busy, or Close waits for the last ones
}

// TimeLeft returns how long the rest of a stream of total bytes takes at the
// mean rate so far, by the bytes sent; 0 if that is not known yet. A writer that
// does not know the total (see [Options].Size and MaxSize) makes parts that grow
// with the stream: fewer fit in memory at once, and where each connection is
// slow, the rest takes longer than TimeLeft says.
func (s Stats) TimeLeft(total int64) time.Duration {
	sent := s.Sent - s.Reused
	if sent <= 0 || total <= s.Sent {
		return 0
	}
	return time.Duration(size.Nearest(float64(s.Elapsed) / float64(sent) * float64(total-s.Sent)))
}

// meter is the counters behind Stats. All of it is atomic: a snapshot takes no lock.
type meter struct {
	hooks *Hooks

	accepted, hashed, sent, acknowledged, resent, reused atomic.Int64
	partsDone, partsInFlight, retries, restarts          atomic.Int64

	start   time.Time
	ended   atomic.Int64 // time since start, 0 while the stream lives
	memory  clock
	network clock
}

func newMeter(hooks *Hooks) *meter {
	return &meter{hooks: hooks.complete(), start: time.Now()}
}

// clock adds up the time that one goroutine at a time spends waiting.
type clock struct {
	total atomic.Int64
	since atomic.Int64 // when the wait under way began, plus one; 0 if none
}

func (c *clock) begin(m *meter) { c.since.Store(int64(time.Since(m.start)) + 1) }

func (c *clock) end(m *meter) {
	began := c.since.Load() - 1
	// first, so that a reader in between misses the wait and does not count it
	// twice
	c.since.Store(0)
	c.total.Add(int64(time.Since(m.start)) - began)
}

// read is the time up to now. A wait that ends meanwhile may be missed once,
// and is never counted twice.
func (c *clock) read(now int64) time.Duration {
	since, total := c.since.Load(), c.total.Load()
	if since > 0 && c.since.Load() == since {
		total += max(0, now-(since-1))
	}
	return time.Duration(total)
}

func (m *meter) retrying(p *Part, err error, wait time.Duration) {
	m.retries.Add(1)
	m.hooks.PartRetrying(p.event(), err, wait)
}

func (m *meter) restarting(p *Part, why error) {
	m.restarts.Add(1)
	m.hooks.PartRetrying(p.event(), why, 0)
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

// snapshot loads the counters from the last to the first, so that none is seen
// ahead of the one before.
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
	s.Restarts = int(m.restarts.Load())
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

// Hooks are called as a stream goes on, in the manner of net/http/httptrace;
// nil ones are skipped. They run on the goroutine that does the work, so they
// should return soon, and part hooks run concurrently. A hook must not call the
// writer's Close or Abort, which wait for it. One that ends its goroutine fails
// the stream.
type Hooks struct {
	// LargeFileStarted is called once the store has opened a large file, before
	// any part is sent; of one that is resumed, in New. A program that wants to
	// resume, or to clean up after a crash, writes down the ID.
	LargeFileStarted func(LargeFileInfo)
	// Restarted is called when a resumed stream starts anew because of why,
	// which matches ErrResumeMismatch; see [Options].RestartOnMismatch.
	Restarted func(why error)
	// PartStarted is called when a part is hashed and is about to be sent. A
	// part that the store has from an earlier run is started and done without
	// an attempt.
	PartStarted func(PartEvent)
	// PartRetrying is called when an attempt failed with err and another
	// follows, after wait at least, and when the writer has ended an attempt to
	// start it again.
	PartRetrying func(p PartEvent, err error, wait time.Duration)
	// PartDone is called when the store has acknowledged a part, or when it failed for good.
	PartDone func(p PartEvent, err error)
}

// PartEvent says which part a hook is about.
type PartEvent struct {
	Number  int   // from 1; 0 for a file stored in one call
	Offset  int64 // of its first byte in the stream
	Size    int64 // bytes
	Attempt int   // attempts made so far
}

func (p *Part) event() PartEvent {
	return PartEvent{Number: p.Number, Offset: p.Offset, Size: p.Size, Attempt: p.tried.number()}
}

// complete returns a copy of h, which may be nil, in which no hook is nil.
func (h *Hooks) complete() *Hooks {
	c := new(Hooks)
	if h != nil {
		*c = *h
	}
	if c.LargeFileStarted == nil {
		c.LargeFileStarted = func(LargeFileInfo) {}
	}
	if c.Restarted == nil {
		c.Restarted = func(error) {}
	}
	if c.PartStarted == nil {
		c.PartStarted = func(PartEvent) {}
	}
	if c.PartRetrying == nil {
		c.PartRetrying = func(PartEvent, error, time.Duration) {}
	}
	if c.PartDone == nil {
		c.PartDone = func(PartEvent, error) {}
	}
	return c
}

// ReadStats is a snapshot of a restore. Received ≥ Delivered holds in every
// snapshot.
type ReadStats struct {
	Size      int64 // bytes of the file
	Received  int64 // bytes that came from the store, each byte once
	Delivered int64 // bytes that Read and WriteTo have delivered
	Repeated  int64 // bytes that came again, because they were damaged
	Reused    int64 // bytes that DownloadFile had from an earlier run; they count as received

	RangesDone     int // fetched
	RangesInFlight int
	Concurrency    int // ranges fetched at once at most now
	Retries        int // attempts that failed and were followed by another
	// fetches that the reader ended and resumed, because they were far slower
	// than others
	Restarts int

	Memory int64 // bytes of the Pool's pages that this reader holds

	// Elapsed is the time from NewReader to now, or to the end. What was not spent
	// waiting for the network was the caller's.
	Elapsed     time.Duration
	WaitNetwork time.Duration
	WaitCaller  time.Duration
}

// readSnapshot loads the counters from the last to the first, so that none is
// seen ahead of the one before.
func (m *meter) readSnapshot() ReadStats {
	s := m.snapshot()
	return ReadStats{
		Received: s.Sent, Delivered: s.Acknowledged, Repeated: s.Resent, Reused: s.Reused,
		RangesDone: s.PartsDone, RangesInFlight: s.PartsInFlight, Retries: s.Retries, Restarts: s.Restarts,
		Elapsed: s.Elapsed, WaitNetwork: s.WaitNetwork, WaitCaller: s.WaitSource,
	}
}

// String says how far the restore is.
func (s ReadStats) String() string {
	return fmt.Sprintf("%s of %s", size.Decimal(s.Delivered), size.Decimal(s.Size))
}
