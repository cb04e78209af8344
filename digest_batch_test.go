package sluice

import (
	"bytes"
	"hash"
	"hash/crc32"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// pairedHash is crc32 that reports how many hashes are written to at once.
type pairedHash struct {
	hash.Hash32
	tell func(n int)
}

func (p pairedHash) WriteBatch(hashes []hash.Hash, data [][]byte) {
	if p.tell != nil {
		p.tell(len(hashes))
	}
	for i, h := range hashes {
		_, _ = h.Write(data[i])
	}
}

func paired(tell func(n int)) Algorithm {
	return Algorithm{Name: "paired", New: func() hash.Hash { return pairedHash{crc32.NewIEEE(), tell} }}
}

// waitingParts is a pipeline with n parts in its queue.
func waitingParts(n int) *pipeline {
	u := &pipeline{stages: stages{hashing: &stage{queue: make(chan *Part, n)}}}
	for i := range n {
		u.hashing.queue <- &Part{Number: i + 2}
	}
	return u
}

func TestPartsThatWaitAreHashedTogether(t *testing.T) {
	for waiting, want := range map[int]int{0: 1, 1: 1, 2: 3, 3: 4, 7: 8, 20: 8} {
		l := newBatch([]Algorithm{crc, paired(nil)})
		batch := waitingParts(waiting).nextBatch(l, &Part{Number: 1})
		require.Len(t, batch, want, "%d wait", waiting)
		for i, p := range batch {
			require.Equal(t, i+1, p.Number)
		}
	}
}

func TestPartsAreHashedOneByOneWhereTogetherIsNoFaster(t *testing.T) {
	require.Len(t, waitingParts(9).nextBatch(newBatch([]Algorithm{crc}), &Part{}), 1)
	l := newBatch([]Algorithm{paired(nil)})
	require.Len(t, waitingParts(9).nextBatch(l, &Part{held: held{buffer: new(bufferFile)}}), 1, "pages in a file are read one by one")
}

// scattered returns a part of that many bytes over pages of 16, with one page
// more than it needs, and the bytes.
func scattered(n int, rng *rand.Rand) (*Part, []byte) {
	p := &Part{Size: int64(n), held: held{size: 16}}
	var data []byte
	for range n/16 + 1 {
		mem := make([]byte, 16)
		for i := range mem {
			mem[i] = byte(rng.Uint32())
		}
		p.pages = append(p.pages, page{mem: mem})
		data = append(data, mem...)
	}
	return p, data[:n]
}

func TestLanesGiveEveryPartItsOwnDigests(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var counts []int
	l := newBatch([]Algorithm{crc, paired(func(n int) { counts = append(counts, n) })})
	for n := 1; n <= mostBatch; n++ {
		for range 20 {
			var parts []*Part
			var contents [][]byte
			for range n {
				p, data := scattered(rng.IntN(100), rng)
				parts, contents = append(parts, p), append(contents, data)
			}
			counts = counts[:0]
			require.NoError(t, l.sum(parts))
			for i, p := range parts {
				require.Equal(t, crcOf(contents[i]), p.Digests.Get("crc32"), "part %d of %d", i, n)
				require.Equal(t, crcOf(contents[i]), p.Digests.Get("paired"), "part %d of %d", i, n)
			}
			if n < leastBatch {
				require.Empty(t, counts)
			}
			for _, c := range counts {
				require.Equal(t, n, c)
			}
		}
	}
}

func TestWarmLanesAllocateNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var parts []*Part
	for range mostBatch {
		p, _ := scattered(100, rng)
		parts = append(parts, p)
	}
	l := newBatch([]Algorithm{paired(nil)})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := l.sum(parts); err != nil {
			t.Error(err)
		}
	}))
}

// A stream whose parts are hashed side by side has the parts, the receipts and
// the file of any other. What waits while the first part is hashed is one
// batch.
func TestAStreamHashedTogetherIsWhole(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 5_000)
	h := &hold{wait: make(chan struct{})}
	var waited atomic.Bool
	first := make(chan struct{})
	tell := func(int) { waited.Store(true) }
	a := Algorithm{Name: "paired", New: func() hash.Hash {
		return pairedHash{&slowFirst{Hash32: crc32.NewIEEE(), start: first}, tell}
	}}
	b := &gated{hold: h, algorithm: a}
	w, err := New(t.Context(), b, "f", &Options{MemoryLimit: 128 << 10, PageSize: 1 << 10, PartSize: 4 << 10, MaxSize: 1 << 20, Concurrency: 2})
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	close(first)
	close(h.wait)
	require.NoError(t, w.Close())
	require.Equal(t, data, h.content())
	require.True(t, waited.Load(), "parts have waited")
	require.Zero(t, w.plan.pool.InUse())
}

// gated is a hold with another algorithm.
type gated struct {
	*hold
	algorithm Algorithm
}

func (g *gated) Limits() Limits {
	l := g.hold.Limits()
	l.MaxSingle, l.PartDigests = 0, []Algorithm{g.algorithm}
	return l
}

// slowFirst is a hash that waits before it takes its first byte.
type slowFirst struct {
	hash.Hash32
	start chan struct{}
}

func (s *slowFirst) Write(p []byte) (int, error) {
	<-s.start
	return s.Hash32.Write(p)
}
