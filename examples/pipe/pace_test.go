package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRateBoundsTheMean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n, err := io.Copy(io.Discard, pace(t.Context(), bytes.NewReader(make([]byte, 100_000)), 1000))
		require.NoError(t, err)
		require.EqualValues(t, 100_000, n)
		require.InDelta(t, 100, time.Since(start).Seconds(), 0.2)
	})
}

func TestRateMayBeOneByteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n, err := io.Copy(io.Discard, pace(t.Context(), bytes.NewReader(make([]byte, 5)), 1))
		require.NoError(t, err)
		require.EqualValues(t, 5, n)
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestWaitingForTheRateEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := io.Copy(io.Discard, pace(ctx, bytes.NewReader(make([]byte, 1000)), 1))
		require.ErrorIs(t, err, cause)
	})
}
