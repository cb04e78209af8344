package filebackend

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/c1508ce4/sluice"
)

// crc32c is the algorithm of Limits.PartDigests: the CRC-32 of the Castagnoli polynomial, for which
// processors have an instruction. It finds accidents, not forgeries.
func crc32c() sluice.Algorithm {
	return sluice.Algorithm{Name: "crc32c", New: func() hash.Hash { return newCRC() }}
}

func newCRC() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func digests(sum uint32) sluice.Digests {
	return sluice.Digests{{Name: crc32c().Name, Sum: binary.BigEndian.AppendUint32(nil, sum)}}
}

// agree compares what the caller says of some bytes with their sum.
func agree(said sluice.Digests, sum uint32) error {
	own := digests(sum)[0]
	if other := said.Get(own.Name); other != nil && !bytes.Equal(other, own.Sum) {
		return fmt.Errorf("its %s is declared as %x, the bytes have %x", own.Name, other, own.Sum)
	}
	return nil
}
