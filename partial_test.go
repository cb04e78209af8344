package sluice

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExtents_AreTheBytesThatWereAddedAndNotRemoved(t *testing.T) {
	const size = 40
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var x extents
		var bytes [size]bool
		for range 50 {
			e := extent{Offset: rng.Int64N(size), Size: 1}
			e.Size += rng.Int64N(size - e.Offset)
			add := rng.IntN(2) == 0
			if add {
				x.add(e)
			} else {
				x.remove(e)
			}
			for i := e.Offset; i < e.end(); i++ {
				bytes[i] = add
			}
			for i := range x {
				require.Positive(t, x[i].Size)
				require.True(t, i == 0 || x[i-1].end() < x[i].Offset, "%v", x)
			}
			for from := range int64(size) {
				covered := true
				for to := from; to < size; to++ {
					covered = covered && bytes[to]
					require.Equal(t, covered, x.cover(extent{from, to + 1 - from}))
				}
			}
		}
	}
}
