// Package lanes hashes several streams at once, each in a lane of the processor's vector registers. One stream's
// SHA-1 is a chain of steps that wait for each other, and the processor's own instructions for it go no faster
// with two streams: in lanes eight streams take less time than three one after the other.
//
// A lane begins and ends as a crypto/sha1 hash. Only whole blocks in between are this package's own, so that
// padding, lengths and short writes are not; and where the processor lacks the instructions, nothing is.
package lanes

import (
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	// Most is how many hashes go side by side.
	Most = 8
	// Least is how many have to for that to be faster than one after the other.
	Least = 3
)

// The state of crypto/sha1 as it is marshaled: its name, five words, the bytes short of a block, the length.
const (
	magic     = "sha\x01"
	wordsAt   = len(magic)
	partialAt = wordsAt + sha1.Size
	lengthAt  = partialAt + sha1.BlockSize
	stateSize = lengthAt + 8
)

// NewSHA1 returns a SHA-1 that [SHA1] can write to beside others. It is used by one goroutine at a time.
func NewSHA1() hash.Hash { return &digest{Hash: sha1.New()} }

// digest is a crypto/sha1 hash with room for its state.
type digest struct {
	hash.Hash
	state [stateSize]byte
}

// SHA1 writes data[i] to hashes[i], which NewSHA1 made and which are all different. It allocates nothing. It is
// fastest with Most hashes, at a block's boundary, and data of equal length; nothing of that is required.
func SHA1(hashes []hash.Hash, data [][]byte) {
	for len(hashes) > 0 {
		n := min(Most, len(hashes))
		some(hashes[:n], data[:n])
		hashes, data = hashes[n:], data[n:]
	}
}

// some is SHA1 for Most hashes or fewer.
func some(hashes []hash.Hash, data [][]byte) {
	done := 0
	if available && len(hashes) >= Least {
		done = together(hashes, data)
	}
	for i, h := range hashes {
		if len(data[i]) > done {
			_, _ = h.Write(data[i][done:]) // a hash never fails
		}
	}
}

// together writes the whole blocks that all data have, and returns how many bytes of each that is: 0 if a hash is
// not at a block's boundary.
func together(hashes []hash.Hash, data [][]byte) int {
	n := len(data[0])
	for _, d := range data {
		n = min(n, len(d))
	}
	n -= n % sha1.BlockSize
	if n == 0 {
		return 0
	}
	var state [5][8]uint32
	var from [8]*byte
	for i, h := range hashes {
		d, ok := h.(*digest)
		if !ok || !d.save() {
			return 0
		}
		for w := range state {
			state[w][i] = binary.BigEndian.Uint32(d.state[wordsAt+4*w:])
		}
		from[i] = &data[i][0]
	}
	for i := len(hashes); i < Most; i++ {
		from[i] = from[0] // an idle lane reads what another reads
	}
	sha1x8(&state, &from, n)
	for i, h := range hashes {
		d := h.(*digest)
		for w := range state {
			binary.BigEndian.PutUint32(d.state[wordsAt+4*w:], state[w][i])
		}
		d.advance(n)
	}
	return n
}

// save marshals the hash, and reports whether it is at a block's boundary and in the form known.
func (d *digest) save() bool {
	m, ok := d.Hash.(encoding.BinaryAppender)
	if !ok {
		return false
	}
	state, err := m.AppendBinary(d.state[:0])
	return err == nil && len(state) == stateSize && string(state[:wordsAt]) == magic &&
		binary.BigEndian.Uint64(state[lengthAt:])%sha1.BlockSize == 0
}

// advance makes the saved state, with n bytes more, the hash's own. A state in the form that save saw is never
// refused.
func (d *digest) advance(n int) {
	length := d.state[lengthAt:]
	binary.BigEndian.PutUint64(length, binary.BigEndian.Uint64(length)+uint64(n))
	if err := d.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(d.state[:]); err != nil {
		panic(err)
	}
}
