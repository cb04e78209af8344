package simnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
)

// Store is a store behind a simulated network. It forgets the bytes.
type Store struct {
	sluice.Unsupported
	limits sluice.Limits
	link   *Link

	mu       sync.Mutex
	rng      *rand.Rand
	attempts int
	running  int
	stored   int64
	took     []time.Duration
	began    map[int]time.Time // by number: the part's first call
	rejected int
}

// NewStore returns a store with these limits behind that network.
func NewStore(n Network, l sluice.Limits) *Store {
	return &Store{limits: l, link: NewLink(n), rng: rand.New(rand.NewPCG(1, 1)), began: map[int]time.Time{}}
}

// Carried is the bytes that the network has carried, those of broken attempts
// included.
func (s *Store) Carried() int64 { return s.link.Carried() }

// Stored is the bytes of all parts that the store has acknowledged.
func (s *Store) Stored() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}

// Took is how long each part of the one stream took, from its first UploadPart
// to its acknowledgement: with the calls that were ended, and the waits between.
func (s *Store) Took() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

// Rejected is how many attempts the store answered with 503.
func (s *Store) Rejected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected
}

// Close ends the simulation.
func (s *Store) Close() { s.link.Close() }

// Limits implements [sluice.Backend].
func (s *Store) Limits() sluice.Limits { return s.limits }

// StartLargeFile implements [sluice.Backend].
func (s *Store) StartLargeFile(ctx context.Context, _ sluice.FileSpec) (sluice.LargeFile, error) {
	return s, wait(ctx, 3*s.link.RTT)
}

// UploadFile implements [sluice.Backend].
func (s *Store) UploadFile(ctx context.Context, _ sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	_, err := s.UploadPart(ctx, p)
	return sluice.File{ID: "x", Size: p.Size}, err
}

// Info implements [sluice.LargeFile].
func (s *Store) Info() sluice.LargeFileInfo { return sluice.LargeFileInfo{ID: "x"} }

// Cancel implements [sluice.LargeFile].
func (s *Store) Cancel(context.Context) error { return nil }

// Finish implements [sluice.LargeFile].
func (s *Store) Finish(ctx context.Context, _ []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	return sluice.File{ID: "x"}, wait(ctx, s.link.RTT)
}

// UploadPart implements [sluice.LargeFile]. It retries as the backends do.
func (s *Store) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	s.mu.Lock()
	if _, again := s.began[p.Number]; !again {
		s.began[p.Number] = time.Now()
	}
	began := s.began[p.Number]
	s.mu.Unlock()
	for attempt := 0; ; attempt++ {
		err := s.try(ctx, p)
		if err == nil {
			s.mu.Lock()
			s.took = append(s.took, time.Since(began))
			s.stored += p.Size
			s.mu.Unlock()
			return sluice.Receipt{Number: p.Number, Size: p.Size}, nil
		}
		if ctx.Err() != nil {
			return sluice.Receipt{}, ctx.Err()
		}
		if attempt == 20 {
			return sluice.Receipt{}, err
		}
		s.mu.Lock()
		pause := time.Duration(s.rng.Float64() * float64(min(time.Second<<attempt, time.Minute)))
		s.mu.Unlock()
		if err := p.Backoff(ctx, err, pause); err != nil {
			return sluice.Receipt{}, err
		}
	}
}

func (s *Store) enter() (breaks, rejected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.link.MaxUploads > 0 && s.running >= s.link.MaxUploads || s.link.BusyEvery > 0 && s.rng.IntN(s.link.BusyEvery) == 0 {
		s.rejected++
		return false, true
	}
	s.running++
	return s.link.BreakEvery > 0 && s.attempts%s.link.BreakEvery == 0, false
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

func (s *Store) try(ctx context.Context, p *sluice.Part) error {
	f, err := s.link.dial(ctx)
	if err != nil {
		return err
	}
	breaks, rejected := s.enter()
	if rejected {
		if err := wait(ctx, s.link.RTT); err != nil {
			return err
		}
		return fmt.Errorf("503: %w", sluice.ErrSlowDown)
	}
	defer s.leave()
	body := p.Attempt()
	defer body.Close()
	w := &wire{ctx: ctx, flow: f, left: p.Size}
	if breaks {
		w.left = p.Size / 2
	}
	if _, err := body.WriteTo(w); err != nil {
		f.close()
		return err
	}
	if err := f.send(ctx, 0, true); err != nil {
		return err
	}
	if err := wait(ctx, s.link.RTT); err != nil {
		return err
	}
	s.link.release(f)
	return nil
}

// wire is the socket of one attempt. It breaks when left bytes are written and
// more come.
type wire struct {
	ctx  context.Context
	flow *flow
	left int64
}

func (w *wire) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, errBroken
	}
	w.left -= int64(len(p))
	return len(p), w.flow.send(w.ctx, int64(len(p)), false)
}
