package lab

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

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
