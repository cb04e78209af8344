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

// A transport may read after the call has returned, when the part is another one.
func TestBody_LeavesItsPartAloneAfterCloseUnderARateLimitToo(t *testing.T) {
	p := NewPart(1, []byte("abc"), nil)
	p.rate = newRateLimit(1 << 30)
	b := p.Attempt()
	require.NoError(t, b.Close())
	again := make(chan struct{})
	go func() {
		defer close(again)
		p.reset()
	}()
	_, err := b.Read(make([]byte, 3)) // the race detector looks
	require.ErrorIs(t, err, errBodyClosed)
	<-again
}
