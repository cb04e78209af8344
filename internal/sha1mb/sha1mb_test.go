package sha1mb

import (
	"crypto/sha1"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// fill returns n bytes that differ from lane to lane.
func fill(n, lane int) []byte {
	data := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(n), uint64(lane)))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

// agree writes the pieces of every lane side by side and requires what crypto/sha1 says of them.
func agree(t *testing.T, lanes ...[][]byte) {
	t.Helper()
	var hashes []hash.Hash
	for range lanes {
		hashes = append(hashes, newDigest())
	}
	for piece := range lanes[0] {
		var data [][]byte
		for _, pieces := range lanes {
			data = append(data, pieces[piece])
		}
		(*digest)(nil).WriteBatch(hashes, data)
	}
	for i, pieces := range lanes {
		want := sha1.New()
		for _, piece := range pieces {
			want.Write(piece)
		}
		require.Equal(t, want.Sum(nil), hashes[i].Sum(nil), "lane %d of %d", i, len(lanes))
	}
}

func TestEveryNumberOfLanesAgreesWithTheLibrary(t *testing.T) {
	for n := 1; n <= 2*most+1; n++ {
		var lanes [][][]byte
		for lane := range n {
			lanes = append(lanes, [][]byte{fill(1024, lane)})
		}
		agree(t, lanes...)
	}
}

func TestPiecesOfAnyLengthAgreeWithTheLibrary(t *testing.T) {
	lengths := []int{0, 1, 63, 64, 65, 127, 128, 129, 1000, 4096}
	for _, first := range lengths {
		for _, second := range lengths {
			var lanes [][][]byte
			for lane := range most {
				lanes = append(lanes, [][]byte{fill(first, lane), fill(second, lane+1), fill(64, lane)})
			}
			agree(t, lanes...)
		}
	}
}

func TestLanesOfDifferentLengthAgreeWithTheLibrary(t *testing.T) {
	var lanes [][][]byte
	for lane := range most {
		lanes = append(lanes, [][]byte{fill(640+lane*64, lane), fill(100*lane, lane), fill(128, lane)})
	}
	agree(t, lanes...)
}

func TestAHashIsAsGoodAfterResetAndSum(t *testing.T) {
	var hashes []hash.Hash
	var data [][]byte
	for lane := range most {
		hashes, data = append(hashes, newDigest()), append(data, fill(256, lane))
	}
	(*digest)(nil).WriteBatch(hashes, data)
	for i, h := range hashes {
		h.Sum(nil) // which changes nothing
		if i%2 == 0 {
			h.Reset()
		}
	}
	(*digest)(nil).WriteBatch(hashes, data)
	for i, h := range hashes {
		want := sha1.New()
		want.Write(data[i])
		if i%2 != 0 {
			want.Write(data[i])
		}
		require.Equal(t, want.Sum(nil), h.Sum(nil), "lane %d", i)
	}
}

func FuzzSHA1(f *testing.F) {
	f.Add([]byte("a seed"), uint8(8), uint16(64))
	f.Add(fill(5000, 0), uint8(3), uint16(100))
	f.Fuzz(func(t *testing.T, data []byte, n uint8, cut uint16) {
		var lanes [][][]byte
		for lane := range int(n%12) + 1 {
			own := append(append([]byte{}, data[min(lane, len(data)):]...), byte(lane))
			at := min(int(cut), len(own))
			lanes = append(lanes, [][]byte{own[:at], own[at:]})
		}
		agree(t, lanes...)
	})
}

func BenchmarkSHA1(b *testing.B) {
	const length = 1 << 20
	for _, n := range []int{1, 2, 3, 4, 6, 8} {
		var hashes []hash.Hash
		var data [][]byte
		for lane := range n {
			hashes, data = append(hashes, newDigest()), append(data, fill(length, lane))
		}
		b.Run(fmt.Sprintf("lanes-%d", n), func(b *testing.B) {
			b.SetBytes(int64(n * length))
			for b.Loop() {
				(*digest)(nil).WriteBatch(hashes, data)
			}
		})
	}
}
