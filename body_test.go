package sluice

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClosedBodyReadsNothing(t *testing.T) {
	p := NewPart(1, []byte("abc"), nil)
	b := p.Attempt()
	n, err := b.Read(make([]byte, 3))
	require.Equal(t, 3, n)
	require.Error(t, err, "EOF comes with the last bytes")
	b = p.Attempt()
	require.NoError(t, b.Close())
	_, err = b.Read(make([]byte, 3))
	require.ErrorIs(t, err, errBodyClosed)
	_, err = b.WriteTo(&bytes.Buffer{})
	require.ErrorIs(t, err, errBodyClosed)
	require.Equal(t, 2, p.tried.number())
	p.reset()
	require.Zero(t, p.tried.number())
}
