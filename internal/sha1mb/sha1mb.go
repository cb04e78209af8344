// Package sha1mb computes SHA-1 of several buffers at once, each in a lane of
// the processor's vector registers (AVX-512). The steps of one SHA-1 depend on
// each other, so the processor's SHA instructions gain nothing from a second
// stream. In lanes, eight streams take less time than three one after another.
//
// A lane begins and ends as a crypto/sha1 hash. Only whole blocks in between are
// computed here, so padding, lengths and short writes are the library's. Without
// the instructions everything is the library's.
package sha1mb

import (
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"hash"

	"github.com/c1508ce4/sluice"
)

const (
	most  = 8 // hashes side by side
	least = 3 // for that to be faster than one after the other
)

// The layout of a marshaled crypto/sha1 state: its name, five words, the bytes
// of an incomplete block, the length.
const (
	magic     = "sha\x01"
	wordsAt   = len(magic)
	partialAt = wordsAt + sha1.Size
	lengthAt  = partialAt + sha1.BlockSize
	stateSize = lengthAt + 8
)

// digest is a crypto/sha1 hash with room for its state.
type digest struct {
	hash.Hash
	state [stateSize]byte
}

// Algorithm returns SHA-1. Where the processor has the instructions, its hashes
// have the WriteBatch of [sluice.Algorithm].
func Algorithm() sluice.Algorithm {
	if !available {
		return sluice.Algorithm{Name: "sha1", New: sha1.New}
	}
	return sluice.Algorithm{Name: "sha1", New: newDigest}
}

func newDigest() hash.Hash { return &digest{Hash: sha1.New()} }

// WriteBatch writes data[i] to hashes[i], which newDigest made and which are all
// different. It allocates nothing. It is fastest with eight hashes at a block's
// boundary and data of equal length, but requires none of that.
func (*digest) WriteBatch(hashes []hash.Hash, data [][]byte) {
	for len(hashes) > 0 {
		n := min(most, len(hashes))
		var g group
		for i, h := range hashes[:n] {
			g.add(h, data[i])
		}
		for g.step() {
		}
		g.rest()
		hashes, data = hashes[n:], data[n:]
	}
}

// group is the hashes that are computed at once.
type group struct {
	n       int // lanes in use
	digests [most]*digest
	data    [most][]byte // still to be written
}

// add gives the group a lane, unless there is no whole block, or the hash is not
// at a block's boundary.
func (g *group) add(h hash.Hash, data []byte) {
	if d, ok := h.(*digest); available && ok && len(data) >= sha1.BlockSize && d.save() {
		g.digests[g.n], g.data[g.n] = d, data
		g.n++
		return
	}
	_, _ = h.Write(data) // a hash never fails
}

// step writes the whole blocks that all lanes have, and ends the lanes that have
// no more. It reports false if there are too few lanes.
func (g *group) step() bool {
	if g.n < least {
		return false
	}
	n := len(g.data[0])
	for _, data := range g.data[:g.n] {
		n = min(n, len(data))
	}
	n -= n % sha1.BlockSize
	var state [5][most]uint32
	var from [most]*byte
	for i := range most {
		lane := min(i, g.n-1) // one that is not in use does what another does
		for w := range state {
			state[w][i] = g.digests[lane].word(w)
		}
		from[i] = &g.data[lane][0]
	}
	sha1x8(&state, &from, n)
	left := 0
	for i, d := range g.digests[:g.n] {
		for w := range state {
			d.setWord(w, state[w][i])
		}
		d.advance(n)
		if data := g.data[i][n:]; len(data) >= sha1.BlockSize {
			g.digests[left], g.data[left] = d, data
			left++
		} else {
			d.load(data)
		}
	}
	g.n = left
	return true
}

func (g *group) rest() {
	for i, d := range g.digests[:g.n] {
		d.load(g.data[i])
	}
}

// save marshals the hash, and reports whether it is at a block's boundary and in
// the known format.
func (d *digest) save() bool {
	m, ok := d.Hash.(encoding.BinaryAppender)
	if !ok {
		return false
	}
	state, err := m.AppendBinary(d.state[:0])
	return err == nil && len(state) == stateSize && string(state[:wordsAt]) == magic &&
		binary.BigEndian.Uint64(state[lengthAt:])%sha1.BlockSize == 0
}

func (d *digest) word(i int) uint32 { return binary.BigEndian.Uint32(d.state[wordsAt+4*i:]) }

func (d *digest) setWord(i int, w uint32) { binary.BigEndian.PutUint32(d.state[wordsAt+4*i:], w) }

func (d *digest) advance(n int) {
	length := d.state[lengthAt:]
	binary.BigEndian.PutUint64(length, binary.BigEndian.Uint64(length)+uint64(n))
}

// load makes the saved state the hash's own, and writes what is left.
func (d *digest) load(left []byte) {
	if err := d.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(d.state[:]); err != nil {
		panic(err) // never: it is what save saw, with other words
	}
	_, _ = d.Write(left) // a hash never fails
}
