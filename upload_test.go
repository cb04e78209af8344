package sluice_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestUploadAbortsOnErrorAndPanic(t *testing.T) {
	b, cause := store(smallLimits()), errors.New("pg_dump: exit status 1")
	f, err := sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
		_, _ = w.Write(content(5 * part))
		return cause
	})
	require.Zero(t, f)
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, `sluice: upload "f": aborted: pg_dump: exit status 1`)
	requireNothingLeft(t, b)

	require.PanicsWithValue(t, "boom", func() {
		_, _ = sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
			_, _ = w.Write(content(5 * part))
			panic("boom")
		})
	})
	requireNothingLeft(t, b)
}

func TestUploadDoesNotLetTheFunctionCloseTheStream(t *testing.T) {
	_, err := sluice.Upload(t.Context(), store(smallLimits()), "f", nil, func(w io.Writer) error {
		_, closer := w.(io.Closer)
		require.False(t, closer)
		return nil
	})
	require.NoError(t, err)
}
