package sluice

import (
	"hash"
	"runtime"
	"slices"
)

// This file hashes parts, ahead of the uploads, so that hashing costs the line nothing.

// Parts are hashed side by side where that takes less processor time: leastLanes of them at least, because fewer do not
// gain by it, and lanesAtOnce at most. When the processor is what limits a stream, more and more parts wait, so that
// more and more are hashed together.
const (
	leastLanes  = 3
	lanesAtOnce = 8
)

// mostHashers is how many goroutines hash. Where parts are hashed together few are better, because they leave each other
// more parts to take at once.
func mostHashers(algorithms []Algorithm) int {
	switch n := runtime.GOMAXPROCS(0); {
	case len(algorithms) == 0:
		return 1
	case together(algorithms):
		return max(1, n/2)
	default:
		return n
	}
}

// together reports whether some algorithm is faster with several hashes.
func together(algorithms []Algorithm) bool {
	return slices.ContainsFunc(algorithms, func(a Algorithm) bool { return a.Together != nil })
}

// hashParts hashes the parts in the queue until there are no more, and offers them for upload.
func (u *pipeline) hashParts() error {
	l := &lanes{algorithms: u.plan.limits.PartDigests}
	var failed error
	for p := range u.hashing.queue {
		if err := u.hash(l, u.batch(l, p)); err != nil {
			failed = err
		}
	}
	return failed
}

// batch is first, and what waits behind it if it is hashed faster together.
func (u *pipeline) batch(l *lanes, first *Part) []*Part {
	l.parts = append(l.parts[:0], first)
	if len(u.hashing.queue)+1 < leastLanes || first.buffer != nil || !together(l.algorithms) {
		return l.parts // pages in a file are read one by one
	}
	for len(l.parts) < lanesAtOnce {
		p := u.next()
		if p == nil {
			break
		}
		l.parts = append(l.parts, p)
	}
	return l.parts
}

// next is a part that waits in the queue, nil if there is none.
func (u *pipeline) next() *Part {
	select {
	case p := <-u.hashing.queue:
		return p
	default:
		return nil
	}
}

// hash computes the digests of the parts and offers them for upload, unless the stream has failed. A part that the store
// has from an earlier run needs no upload.
func (u *pipeline) hash(l *lanes, parts []*Part) error {
	u.meter.partsInFlight.Add(int64(len(parts)))
	defer func() {
		for _, p := range parts { // that were not offered
			u.uploads.pass(p.Number)
			u.done(p)
		}
	}()
	if u.ctx.Err() != nil {
		return nil
	}
	if err := u.guard("buffer", parts[0], func() error { return l.sum(parts) }); err != nil {
		return err
	}
	for _, p := range parts {
		u.meter.hashed.Add(p.Size)
	}
	var failed error
	for len(parts) > 0 {
		p := parts[0]
		parts = parts[1:]
		if r, stored := u.plan.resumed.has(p); !stored {
			u.uploads.offer(p)
		} else if err := u.reuse(p, r.Tag); err != nil {
			failed = err
		}
	}
	return failed
}

// lanes hash several parts side by side. They belong to one goroutine.
type lanes struct {
	algorithms []Algorithm
	hashers    []hashers // of each lane, made when it is first used

	// The rest is memory to be used again: for a batch, and for what a call of Together takes.
	parts  []*Part
	hashes []hash.Hash
	data   [][]byte
}

// sum computes the digests of the parts.
func (l *lanes) sum(parts []*Part) error {
	for len(l.hashers) < len(parts) {
		l.hashers = append(l.hashers, newHashers(l.algorithms))
	}
	if len(parts) < leastLanes {
		for _, p := range parts {
			if err := l.hashers[0].sum(p); err != nil {
				return err
			}
		}
		return nil
	}
	pages := 0
	for i, p := range parts {
		l.hashers[i].reset()
		pages = max(pages, len(p.pages))
	}
	for at := range pages {
		l.write(parts, int64(at))
	}
	for i, p := range parts {
		l.hashers[i].file(p)
	}
	return nil
}

// write adds what the parts have on one of their pages, which are in memory.
func (l *lanes) write(parts []*Part, page int64) {
	l.data = l.data[:0]
	for _, p := range parts {
		b, _ := p.bytes(min(page*p.size, p.Size), nil) // none if the part is shorter
		l.data = append(l.data, b)
	}
	for k, a := range l.algorithms {
		l.hashes = l.hashes[:0]
		for i := range parts {
			l.hashes = append(l.hashes, l.hashers[i][k].Hash)
		}
		if a.Together != nil {
			a.Together(l.hashes, l.data)
			continue
		}
		for i, h := range l.hashes {
			_, _ = h.Write(l.data[i]) // a hash never fails
		}
	}
}
