package main

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/memorybackend"
)

// playLimit is the role of a raw limit: one kind of work that a stream cannot
// do without, and nothing else.
func playLimit(ctx context.Context, spec json.RawMessage) (any, error) {
	var o order
	if err := json.Unmarshal(spec, &o); err != nil {
		return nil, err
	}
	j := o.Job
	var began time.Time
	var cpu float64
	begin := func() { began, cpu = time.Now(), lab.CPU() }
	var err error
	switch j.Work {
	case workSHA1:
		everywhere(j.Size, begin, func() func([]byte) { return hashing(sha1.New()) })
	case workSHA256:
		everywhere(j.Size, begin, func() func([]byte) { return hashing(memorybackend.SHA256().New()) })
	case workCopy:
		page := lab.NewPage()
		everywhere(j.Size, begin, func() func([]byte) { return func(data []byte) { copy(data, page) } })
	case workRead:
		err = readAll(j.Size, begin)
	case workPost:
		var sizes []int64
		if sizes, err = cuts(ctx, j); err == nil {
			err = lab.Post(ctx, o.Server, sizes, j.Concurrency, begin)
		}
	default:
		err = fmt.Errorf("no work %q", j.Work)
	}
	if err != nil {
		return nil, err
	}
	return sample{Bytes: j.Size, Wall: time.Since(began).Seconds(), CPU: lab.CPU() - cpu, RSS: lab.PeakRSS()}, nil
}

func hashing(h hash.Hash) func([]byte) {
	return func(data []byte) { _, _ = h.Write(data) } // a hash never fails
}

// Each core works on memory of its own, which is larger than its cache and has been touched before.
const (
	coreMemory = 64 << 20
	corePiece  = 1 << 20
)

// everywhere has every core do its share of size bytes. Each calls newWork for
// itself; begin is called when all are ready.
func everywhere(size int64, begin func(), newWork func() func([]byte)) {
	cores := runtime.GOMAXPROCS(0)
	memory := make([][]byte, cores)
	for i := range memory {
		memory[i] = make([]byte, coreMemory)
		copy(memory[i][1:], memory[i]) // touches all of it
		memory[i][0] = 1
	}
	begin()
	var group sync.WaitGroup
	for i := range cores {
		group.Go(func() {
			work := newWork()
			left := size*int64(i+1)/int64(cores) - size*int64(i)/int64(cores)
			for at := 0; left > 0; at = (at + corePiece) % coreMemory {
				n := min(left, corePiece)
				work(memory[i][at : at+int(n)])
				left -= n
			}
		})
	}
	group.Wait()
}

// readAll reads stdin in pieces of a page into memory that is not in the cache.
func readAll(size int64, begin func()) error {
	lab.EnlargePipe(os.Stdin)
	memory := make([]byte, coreMemory)
	copy(memory[1:], memory)
	begin()
	for left, at := size, 0; left > 0; at = (at + corePiece) % coreMemory {
		n := min(left, corePiece)
		if _, err := io.ReadFull(os.Stdin, memory[at:at+int(n)]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}
