package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
)

func TestCompressedBytesAreReadByZstd(t *testing.T) {
	for _, level := range []int{1, 3, 7} {
		for _, n := range []int{0, 1, 100_000, 9_000_000} {
			tr := newTrial(t)
			data := append(noise(n/2), make([]byte, n-n/2)...)
			tr.stdin(data)
			require.Equal(t, exitDone, tr.run(args("-z="+strconv.Itoa(level), "mem://x")...), tr.stderr())
			d, err := zstd.NewReader(bytes.NewReader(tr.stored("x")))
			require.NoError(t, err)
			got, err := io.ReadAll(d)
			d.Close()
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			require.EqualValues(t, n, tr.object()["source_bytes"])
			require.EqualValues(t, len(tr.stored("x")), tr.object()["size"])
		}
	}
}

func TestNoBytesAreAFrameOfTheirOwn(t *testing.T) {
	r, err := compress(t.Context(), bytes.NewReader(nil), 3)
	require.NoError(t, err)
	frame, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NotEmpty(t, frame)
}

func TestAFailingSourceNeverLooksLikeTheEndOfACompressedStream(t *testing.T) {
	for _, n := range []int{0, 1000, 20_000_000} {
		synctest.Test(t, func(t *testing.T) { // fails if a goroutine stays
			broken := errors.New("broken")
			r, err := compress(t.Context(), io.MultiReader(bytes.NewReader(noise(n)), iotest.ErrReader(broken)), 1)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r)
			require.ErrorIs(t, err, broken)
		})
	}
}

func TestACompressorThatNobodyReadsFromEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine stays
		ctx, cancel := context.WithCancel(t.Context())
		r, err := compress(ctx, bytes.NewReader(noise(20_000_000)), 1)
		require.NoError(t, err)
		_, err = r.Read(make([]byte, 1))
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		_, err = io.Copy(io.Discard, r)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestAFailedUploadStopsTheCompressor(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)))
	tr.stdin(noise(50_000_000))
	require.Equal(t, exitFailed, tr.run(args("-z=1", "mem://x")...))
	tr.requireNothing()
}
