package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

var (
	errLine  = errors.New("the connection broke")
	errFinal = errors.New("the store has failed for good")
)

// troubled is a store that can be read over a bad network. It retries, as
// backends do.
type troubled struct {
	*memorybackend.Backend
	versions map[string][]byte // the bytes of the file by ID
	forgets  bool              // the store keeps no digests and knows no parts
	damages  int               // one in so many ranges comes damaged the first time, 0 none
	ruined   int64             // offset of a byte that always comes damaged, -1 for none
	fails    int               // one in so many calls fails for good, 0 none
	slow     time.Duration     // what an attempt takes at most

	mu  sync.Mutex
	rng *rand.Rand
}

func (s *troubled) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f, err := s.Backend.Stat(ctx, name)
	if s.forgets {
		f.Receipts, f.Digests, f.Algorithms, f.Parts = nil, nil, nil, 0
	}
	return f, err
}

// draw is true once in n times, never if n is 0, and a number below most.
func (s *troubled) draw(n int, most int64) (bool, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n > 0 && oneIn(s.rng, n), s.rng.Int64N(most + 1)
}

func (s *troubled) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	data, ok := s.versions[f.ID]
	if f.Name != "f" || !ok {
		return s.Backend.ReadRange(ctx, f, r)
	}
	for {
		if _, wait := s.draw(0, int64(s.slow)); wait > 0 {
			select {
			case <-time.After(time.Duration(wait)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if now, err := s.Backend.Stat(ctx, f.Name); err != nil || now.ID != f.ID {
			return errors.Join(sluice.ErrReplaced, err)
		}
		if fails, _ := s.draw(s.fails, 1); fails {
			return errFinal
		}
		offset, size := r.Attempt()
		cut, n := s.draw(4, size)
		if !cut {
			n = size
		}
		got := bytes.Clone(data[offset : offset+n])
		if bad, at := s.draw(s.damages, max(n-1, 0)); bad && n > 0 && !r.Fresh {
			got[at] ^= 1
		}
		if s.ruined >= offset && s.ruined < offset+n {
			got[s.ruined-offset] ^= 1
		}
		if _, err := r.Write(got); err != nil {
			return err
		}
		if !cut {
			return nil
		}
		why, wait := errLine, time.Duration(0)
		if busy, d := s.draw(2, int64(time.Second)); busy {
			why, wait = sluice.ErrSlowDown, time.Duration(d)
		}
		tally.faults.Add(1)
		if err := r.Backoff(ctx, why, wait); err != nil {
			return err
		}
	}
}

// restoreTrial is one file in a troubled store, and how it is read.
type restoreTrial struct {
	rng     *rand.Rand
	store   *troubled
	data    []byte
	options sluice.ReadOptions
	held    bool // every part is verified before delivery
	may     []error
}

func newRestoreTrial(t *testing.T, rng *rand.Rand) *restoreTrial {
	limits := sluice.Limits{MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 20, Resumable: true}
	digests := !oneIn(rng, 4)
	if digests {
		limits.PartDigests = []sluice.Algorithm{memorybackend.SHA256()}
	}
	c := &restoreTrial{rng: rng, store: &troubled{
		Backend:  memorybackend.New(&memorybackend.Options{Limits: &limits}),
		versions: map[string][]byte{}, ruined: -1, rng: rand.New(rand.NewPCG(rng.Uint64(), 1)),
		slow: 1 + upTo(rng, time.Second),
	}}
	manifest := digests && oneIn(rng, 2)
	c.store.forgets = manifest || oneIn(rng, 2)
	c.data = content(rng, rng.IntN(60*page))
	c.upload(t, manifest)
	memory := int64(4 + rng.IntN(40))
	c.options = sluice.ReadOptions{PageSize: page, MemoryLimit: memory * page, RangeSize: page * rng.Int64N(4), Concurrency: rng.IntN(5)}
	f, err := c.store.Backend.Stat(t.Context(), "f")
	require.NoError(t, err)
	largest := f.Size
	for i, r := range f.Receipts {
		if largest = max(largest, r.Size); i == 0 {
			largest = r.Size
		}
	}
	known := manifest || digests && !c.store.forgets
	c.held = known && (manifest || f.Parts > 0) && largest <= memory/2*page
	if known {
		if oneIn(rng, 2) {
			c.store.damages = 1 + rng.IntN(20)
			c.may = append(c.may, sluice.ErrDamaged) // where it is seen too late to fetch it again
			if c.held {
				c.may = nil
			}
		}
		if oneIn(rng, 4) && len(c.data) > 0 {
			c.store.ruined = rng.Int64N(int64(len(c.data)))
			c.may = append(c.may, sluice.ErrDamaged)
		}
	}
	if oneIn(rng, 4) {
		c.store.fails = 20 + rng.IntN(100)
		c.may = append(c.may, errFinal)
	}
	return c
}

func (c *restoreTrial) upload(t testing.TB, manifest bool) {
	o := &sluice.Options{PageSize: page, MemoryLimit: 32 * page, PartSize: page * (1 + c.rng.Int64N(8)), Manifest: manifest}
	f, err := sluice.Upload(t.Context(), c.store.Backend, "f", o, func(w io.Writer) error {
		_, err := w.Write(c.data)
		return err
	})
	require.NoError(t, err)
	c.store.versions[f.ID] = c.data
}

// allows fails unless err is one that may come.
func (c *restoreTrial) allows(t testing.TB, err error, more ...error) {
	t.Helper()
	for _, may := range append(more, c.may...) {
		if errors.Is(err, may) {
			return
		}
	}
	t.Fatalf("failed with %v, which is none of %v", err, append(more, c.may...))
}

// checkPrefix compares what was delivered before a failure.
func (c *restoreTrial) checkPrefix(t testing.TB, got []byte) {
	t.Helper()
	require.LessOrEqual(t, len(got), len(c.data))
	if c.held || c.store.damages == 0 && c.store.ruined < 0 {
		require.True(t, bytes.Equal(c.data[:len(got)], got), "bytes that were delivered differ")
	}
}

var errStopped = errors.New("the caller gave up")

// Files are read over a bad network, some of them damaged or replaced, by
// callers that are slow, or give up.
func TestRestores(t *testing.T) {
	sweep(t, 1500, bubble(func(t *testing.T, rng *rand.Rand) {
		c := newRestoreTrial(t, rng)
		var pool *sluice.Pool
		if oneIn(rng, 3) {
			pool = newPool(t, 16+rng.IntN(40), false)
			defer pool.Close()
			c.options.Pool, c.options.MemoryLimit, c.options.PageSize = pool, 0, 0
			c.held = false // the share of readers is smaller
			if c.store.damages > 0 {
				c.may = append(c.may, sluice.ErrDamaged)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var others sync.WaitGroup
		defer others.Wait()
		data := c.data
		switch rng.IntN(4) {
		case 0:
			after := upTo(rng, 20*time.Second)
			others.Go(func() { time.Sleep(after); cancel(errStopped) })
			c.may = append(c.may, errStopped)
		case 1:
			after, size := upTo(rng, 20*time.Second), rng.IntN(20*page)
			part := sluice.NewPart(0, content(rng, size), nil)
			others.Go(func() {
				time.Sleep(after)
				_, err := c.store.UploadFile(t.Context(), sluice.FileSpec{Name: "f", Size: part.Size}, c.digested(part))
				if err != nil {
					t.Error(err)
				}
			})
			c.may = append(c.may, sluice.ErrReplaced)
		}
		r, err := sluice.NewReader(ctx, c.store, "f", &c.options)
		if err != nil {
			c.allows(t, err)
			return
		}
		got, err := c.read(r)
		if err == nil {
			verify(t, got, data)
			require.EqualValues(t, len(data), r.Stats().Delivered)
		} else if err != io.ErrClosedPipe {
			c.allows(t, err)
			c.data = data
			c.checkPrefix(t, got)
		}
		require.NoError(t, r.Close())
		require.Zero(t, r.Stats().Memory)
		if pool != nil {
			require.Zero(t, pool.InUse())
		}
	}))
}

// digested gives a part of a whole file the digests that the store wants.
func (c *restoreTrial) digested(p *sluice.Part) *sluice.Part {
	for _, a := range c.store.Limits().PartDigests {
		h := a.New()
		body := p.Attempt()
		_, _ = io.Copy(h, body)
		_ = body.Close()
		p.Digests = append(p.Digests, sluice.Digest{Name: a.Name, Sum: h.Sum(nil)})
	}
	return p
}

// read reads all, in one of several ways. It may close the reader before the
// end, and returns [io.ErrClosedPipe] then.
func (c *restoreTrial) read(r *sluice.LargeFileReader) ([]byte, error) {
	var got bytes.Buffer
	if oneIn(c.rng, 3) {
		_, err := r.WriteTo(&got)
		return got.Bytes(), err
	}
	slow, stop := time.Duration(0), -1
	if oneIn(c.rng, 2) {
		slow = time.Second
	}
	if oneIn(c.rng, 8) {
		stop = c.rng.IntN(len(c.data) + 1)
	}
	for {
		if slow > 0 {
			time.Sleep(upTo(c.rng, slow))
		}
		if stop >= 0 && got.Len() >= stop {
			_ = r.Close()
			return nil, io.ErrClosedPipe
		}
		p := make([]byte, 1+c.rng.IntN(4*page))
		n, err := r.Read(p)
		got.Write(p[:n])
		if err == io.EOF {
			return got.Bytes(), nil
		}
		if err != nil {
			return got.Bytes(), err
		}
	}
}

// A restore to a file is given up, up to three times, at any moment, and resumed;
// the stored file may be replaced in between.
func TestRestoresToFiles(t *testing.T) {
	sweep(t, 250, bubble(func(t *testing.T, rng *rand.Rand) {
		c := newRestoreTrial(t, rng)
		target := filepath.Join(t.TempDir(), "target")
		for range rng.IntN(4) {
			ctx, cancel := context.WithCancelCause(t.Context())
			after := upTo(rng, 10*time.Second)
			var timer sync.WaitGroup
			timer.Go(func() { time.Sleep(after); cancel(errStopped) })
			_, err := sluice.DownloadFile(ctx, c.store, "f", target, &c.options)
			timer.Wait()
			if err == nil {
				got, err := os.ReadFile(target)
				require.NoError(t, err)
				verify(t, got, c.data)
				require.NoError(t, os.Remove(target))
				continue
			}
			c.allows(t, err, errStopped)
			require.NoFileExists(t, target)
			if oneIn(rng, 4) {
				c.data = content(rng, rng.IntN(60*page))
				c.store.ruined = -1
				if c.store.damages > 0 {
					c.may = append(c.may, sluice.ErrDamaged) // parts may be larger than the memory
				}
				c.upload(t, c.store.forgets && len(c.store.Limits().PartDigests) > 0)
			}
		}
		c.store.ruined, c.store.fails = -1, 0
		for { // damage on the way may be seen too late to fetch a range again
			_, err := sluice.DownloadFile(t.Context(), c.store, "f", target, &c.options)
			if err == nil {
				break
			}
			c.allows(t, err)
			require.ErrorIs(t, err, sluice.ErrDamaged)
			require.NoFileExists(t, target)
			c.store.damages = 0
		}
		got, err := os.ReadFile(target)
		require.NoError(t, err)
		verify(t, got, c.data)
		left, err := os.ReadDir(filepath.Dir(target))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}))
}
