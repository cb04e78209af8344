package lab

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFiguresAreComparedRoundByRound(t *testing.T) {
	slow, fast := Series{2, 20, 4}, Series{1, 10, 4}
	require.Equal(t, Series{2, 2, 1}, slow.Over(fast), "though the second round was slow for both")
	require.Equal(t, Series{3, 30, 8}, slow.Plus(fast))
	require.Equal(t, Series{2}, Series{1, 2}.Over(Series{0, 1}), "nothing to compare with")
	require.InDelta(t, 4, slow.Median(), 0)
	require.InDelta(t, 3, Series{4, 2}.Median(), 0)
	require.InDelta(t, 2, slow.Min(), 0)
	require.InDelta(t, 20, slow.Max(), 0)
	for _, f := range []func(Series) float64{Series.Median, Series.Min, Series.Max} {
		require.Zero(t, f(nil))
	}
}

func TestASourceYieldsTheSameBytesByReadAndInPieces(t *testing.T) {
	const size = 3<<20 + 17
	read, err := io.ReadAll(NewSource(NewPage(), size, 0, nil))
	require.NoError(t, err)
	require.Len(t, read, size)
	var pieces bytes.Buffer
	halves := 0
	s := NewSource(NewPage(), size, 0, func() { halves++ })
	require.NoError(t, s.Pieces(32<<10, pieces.Write))
	require.True(t, bytes.Equal(read, pieces.Bytes()))
	require.Equal(t, 1, halves)
	require.False(t, s.Last().IsZero())
}

func TestASourceKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := NewSource(NewPage(), 10e6, 1e6, nil)
		_, err := io.Copy(io.Discard, s)
		require.NoError(t, err)
		require.InDelta(t, 10, s.Last().Sub(began).Seconds(), 0.1)
	})
}
