package sluice

import (
	"bytes"
	"fmt"
	"hash"
	"runtime"
	"sync"
)

// hashers computes several digests of the same bytes.
type hashers []hasher

type hasher struct {
	Algorithm
	hash.Hash
}

func newHashers(lists ...[]Algorithm) hashers {
	var hs hashers
	for _, list := range lists {
		for _, a := range list {
			if !hs.has(a.Name) {
				hs = append(hs, hasher{a, a.New()})
			}
		}
	}
	return hs
}

func (hs hashers) has(name string) bool {
	for i := range hs {
		if hs[i].Name == name {
			return true
		}
	}
	return false
}

// batched reports whether some hash is faster in batches.
func (hs hashers) batched() bool {
	for i := range hs {
		if _, ok := hs[i].Hash.(batchHash); ok {
			return true
		}
	}
	return false
}

func (hs hashers) algorithms() []Algorithm {
	var list []Algorithm
	for i := range hs {
		list = append(list, hs[i].Algorithm)
	}
	return list
}

// write adds the bytes of p, a page at a time to every hash, so that the page
// stays in the cache. It fails only if the pages are in a file.
func (hs hashers) write(p *Part) error {
	if len(hs) == 0 {
		return nil
	}
	scratch := p.takeScratch()
	defer p.giveScratch(scratch)
	for off := int64(0); off < p.Size; {
		b, err := p.bytes(off, scratch)
		if err != nil {
			return err
		}
		hs.add(b)
		off += int64(len(b))
	}
	return nil
}

func (hs hashers) sum(p *Part) error {
	hs.reset()
	if err := hs.write(p); err != nil {
		return err
	}
	hs.file(p)
	return nil
}

func (hs hashers) reset() {
	for i := range hs {
		hs[i].Reset()
	}
}

// file makes the sums the digests of p, in the memory of those it had before.
func (hs hashers) file(p *Part) {
	if len(p.Digests) != len(hs) {
		p.Digests = make(Digests, len(hs))
	}
	for i := range hs {
		p.Digests[i].Name = hs[i].Name
		p.Digests[i].Sum = hs[i].Sum(p.Digests[i].Sum[:0])
	}
}

func (hs hashers) sums() Digests {
	var ds Digests
	for i := range hs {
		ds = append(ds, Digest{hs[i].Name, hs[i].Sum(nil)})
	}
	return ds
}

func (u *pipeline) digestStream() {
	defer u.giveBack()
	for p := u.digesting.take(u.ctx); p != nil; p = u.digesting.take(u.ctx) {
		u.digest(p)
	}
}

// digest adds p to the digests of the stream, unless that has failed.
func (u *pipeline) digest(p *Part) {
	failed := errNotReturned
	defer func() {
		u.failIf("buffer", p, failed)
		u.drop(p)
	}()
	err := u.ctx.Err() // the stream has another failure then
	if err == nil {
		err = u.whole.write(p)
	}
	failed = err
}

// merge adds to what the store said of a file the digests that were computed and asked for.
func merge(said, computed Digests, asked hashers) Digests {
	for _, d := range computed {
		if asked.has(d.Name) && said.Get(d.Name) == nil {
			said = append(said, Digest{d.Name, bytes.Clone(d.Sum)})
		}
	}
	return said
}

// receipts are filed by part number. Their digests are copied into large pieces
// of memory, so that a part costs no allocation of its own.
type receipts struct {
	mu      sync.Mutex
	list    []Receipt
	sums    []byte
	digests []Digest
}

// receiptsAhead is how many receipts memory is taken for at once.
const receiptsAhead = 64

// file keeps what Finish needs of p. The number's place is said in this one expression.
func (r *receipts) file(p *Part, tag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.list) < p.Number {
		r.list = append(r.list, Receipt{})
	}
	r.list[p.Number-1] = Receipt{Number: p.Number, Size: p.Size, Digests: r.keep(p.Digests), ETag: tag}
}

// cover refuses a list that is not whole: every part from 1 on, with all the bytes.
func (r *receipts) cover(parts int, total int64) error {
	var sum int64
	for i := range r.list {
		if r.list[i].Number == 0 {
			return fmt.Errorf("part %d was not uploaded", i+1)
		}
		sum += r.list[i].Size
	}
	if len(r.list) != parts || sum != total {
		return fmt.Errorf("%d parts of %d bytes were uploaded, the stream has %d of %d", len(r.list), sum, parts, total)
	}
	return nil
}

func (r *receipts) keep(ds Digests) Digests {
	if cap(r.digests)-len(r.digests) < len(ds) {
		r.digests = make([]Digest, 0, receiptsAhead*len(ds))
	}
	from := len(r.digests)
	for _, d := range ds {
		if cap(r.sums)-len(r.sums) < len(d.Sum) {
			r.sums = make([]byte, 0, receiptsAhead*len(d.Sum))
		}
		at := len(r.sums)
		r.sums = append(r.sums, d.Sum...)
		r.digests = append(r.digests, Digest{d.Name, r.sums[at:len(r.sums):len(r.sums)]})
	}
	return r.digests[from:len(r.digests):len(r.digests)]
}

// This file hashes parts before they are uploaded.

// Parts are hashed in batches where that takes less processor time: at least
// leastBatch of them, because fewer gain nothing, and at most mostBatch. When
// the processor limits a stream, more parts wait, and batches become larger.
const (
	leastBatch = 3
	mostBatch  = 8
)

// mostHashers returns how many goroutines hash. Few are better where hashes are
// computed in batches, because they leave each other more parts to take at once.
func mostHashers(hs hashers) int {
	switch n := runtime.GOMAXPROCS(0); {
	case len(hs) == 0:
		return 1
	case hs.batched():
		return max(1, n/2)
	default:
		return n
	}
}

// hashParts hashes the parts in the queue until there are no more, and offers
// them for upload.
func (u *pipeline) hashParts() {
	defer u.giveBack()
	b := newBatch(u.plan.limits.PartDigests)
	for p := u.hashing.take(u.ctx); p != nil; p = u.hashing.take(u.ctx) {
		u.hash(b, u.nextBatch(b, p))
	}
}

// nextBatch returns first, with the parts that wait after it if that is faster.
func (u *pipeline) nextBatch(b *batch, first *Part) []*Part {
	b.parts = append(b.parts[:0], first)
	// Pages in a file are read one by one.
	if len(u.hashing.queue)+1 < leastBatch || first.buffer != nil || !b.hashers[0].batched() {
		return b.parts
	}
	for len(b.parts) < mostBatch {
		p := u.hashing.poll()
		if p == nil {
			break
		}
		b.parts = append(b.parts, p)
	}
	return b.parts
}

// hash computes the digests of the parts and offers them for upload, unless the
// stream has failed. A part that the store has from an earlier run needs no
// upload.
func (u *pipeline) hash(b *batch, parts []*Part) {
	u.meter.partsInFlight.Add(int64(len(parts)))
	op, failed := "buffer", errNotReturned
	defer func() {
		for i, p := range parts { // that were not offered
			if i == 0 {
				u.failIf(op, p, failed)
			}
			u.queue.skip(p.Number)
			u.done(p)
		}
	}()
	if u.ctx.Err() != nil {
		failed = nil
		return
	}
	if err := b.sum(parts); err != nil {
		failed = err
		return
	}
	for _, p := range parts {
		u.meter.hashed.Add(p.Size)
	}
	for op = "resume"; len(parts) > 0; {
		p := parts[0]
		r, stored, err := u.plan.resumed.compare(p)
		if err != nil { // before a later part is let in
			failed = err
			return
		}
		parts = parts[1:]
		if stored {
			u.reuse(p, r.ETag)
		} else {
			u.queue.offer(p)
		}
	}
}

// batch hashes several parts at once. It belongs to one goroutine.
type batch struct {
	algorithms []Algorithm
	hashers    []hashers // one for each part of a batch, made when first used

	// Reused memory.
	parts  []*Part
	hashes []hash.Hash
	data   [][]byte
}

func newBatch(algorithms []Algorithm) *batch {
	return &batch{algorithms: algorithms, hashers: []hashers{newHashers(algorithms)}}
}

func (b *batch) sum(parts []*Part) error {
	if len(parts) < leastBatch {
		for _, p := range parts {
			if err := b.hashers[0].sum(p); err != nil {
				return err
			}
		}
		return nil
	}
	for len(b.hashers) < len(parts) {
		b.hashers = append(b.hashers, newHashers(b.algorithms))
	}
	pages := 0
	for i, p := range parts {
		b.hashers[i].reset()
		pages = max(pages, len(p.pages))
	}
	for at := range pages {
		b.write(parts, int64(at))
	}
	for i, p := range parts {
		b.hashers[i].file(p)
	}
	return nil
}

// write hashes the bytes that the parts have on one of their pages, which are in
// memory.
func (b *batch) write(parts []*Part, page int64) {
	b.data = b.data[:0]
	for _, p := range parts {
		bytes, _ := p.bytes(min(page*p.size, p.Size), nil) // none if the part is shorter
		b.data = append(b.data, bytes)
	}
	for k := range b.hashers[0] {
		b.hashes = b.hashes[:0]
		for i := range parts {
			b.hashes = append(b.hashes, b.hashers[i][k].Hash)
		}
		if h, ok := b.hashes[0].(batchHash); ok {
			h.WriteBatch(b.hashes, b.data)
			continue
		}
		for i, h := range b.hashes {
			_, _ = h.Write(b.data[i]) // a hash never fails
		}
	}
}
