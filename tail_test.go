package sluice

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// storedFile is a large file of which only its name is asked for.
type storedFile struct{ LargeFile }

func (storedFile) Info() LargeFileInfo { return LargeFileInfo{ID: "id"} }

// Whatever pieces of the last part are stored, the part is cut as it was, so that
// every one of them is found again and none is taken for another stream's.
func TestResumption_CutsTheLastPartAsItWas(t *testing.T) {
	const page, first = 16, 5
	algorithms := []Algorithm{{Name: "sha256", New: sha256.New}}
	for size := int64(1); size <= 8*page; size++ {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 37)
		}
		p := &Part{Number: first, Size: size, held: held{size: page}}
		for rest := data; len(rest) > 0; rest = rest[min(page, len(rest)):] {
			p.pages = append(p.pages, pageOf(rest, page))
		}
		for piece := int64(page); piece < size; piece += page {
			n := ceilDiv(size, piece)
			cut := func(i int64) *Part {
				q := &Part{Number: first + int(i), Size: min(piece, size-i*piece), held: held{size: page, pages: p.pages[i*piece/page:]}}
				require.NoError(t, newHashers(algorithms).sum(q))
				return q
			}
			// the first piece would be one of the run
			for subset := uint(2); subset < 1<<n; subset += 2 {
				r := &resumption{large: storedFile{}, stored: map[int]Receipt{}}
				for i := range n {
					if subset&(1<<i) != 0 {
						q := cut(i)
						r.stored[q.Number] = Receipt{Number: q.Number, Size: q.Size, Digests: q.Digests}
						r.last = q.Number
					}
				}
				what := fmt.Sprintf("%d bytes in pieces of %d, of which %b are stored", size, piece, subset)
				require.Equal(t, piece, r.tailPiece(p, Limits{PartDigests: algorithms}, page, 100), what)
			}
		}
	}
}

func pageOf(data []byte, size int) page {
	mem := make([]byte, size)
	copy(mem, data)
	return page{mem: mem}
}
