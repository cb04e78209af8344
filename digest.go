package sluice

import (
	"bytes"
	"fmt"
	"hash"
	"sync"
)

// hashers computes several digests of the same bytes.
type hashers []hasher

type hasher struct {
	Algorithm
	hash.Hash
}

// newHashers makes one hasher for every name in the lists.
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

func (hs hashers) algorithms() []Algorithm {
	var list []Algorithm
	for i := range hs {
		list = append(list, hs[i].Algorithm)
	}
	return list
}

// write adds the bytes of p, a page at a time to every hash, so that the page stays in the cache. It
// fails only if the pages are in a file.
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
		for i := range hs {
			_, _ = hs[i].Write(b) // a hash never fails
		}
		off += int64(len(b))
	}
	return nil
}

// sum computes the digests of p.
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

// sums returns the digests of all that was written.
func (hs hashers) sums() Digests {
	var ds Digests
	for i := range hs {
		ds = append(ds, Digest{hs[i].Name, hs[i].Sum(nil)})
	}
	return ds
}

// digestStream digests the parts in the order of the stream.
func (u *pipeline) digestStream() error {
	var failed error
	for p := range u.digesting.queue {
		if err := u.digest(p); err != nil {
			failed = err
		}
	}
	return failed
}

// digest adds p to the digests of the stream, unless that has failed.
func (u *pipeline) digest(p *Part) error {
	defer u.drop(p)
	if u.ctx.Err() != nil {
		return nil
	}
	return u.guard("buffer", p, func() error { return u.whole.write(p) })
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

// receipts are filed by part number. Their digests are copied into large pieces of memory, so that a part
// costs no allocation of its own.
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
	r.list[p.Number-1] = Receipt{Number: p.Number, Size: p.Size, Digests: r.keep(p.Digests), Tag: tag}
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
