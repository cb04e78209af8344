package sluice_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestAStoreThatPlansThePartsGetsThem(t *testing.T) {
	l := sluice.Limits{ServerSizesParts: true, WholeDigests: []sluice.Algorithm{memorybackend.SHA256()}}
	for _, size := range []int{1, 23, 24, 25, 240} {
		b := memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: 23})
		o := smallOptions()
		o.PartSize, o.Size = 0, int64(size)
		f, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(testutil.Content(size)))
			return err
		})
		require.NoError(t, err)
		require.Equal(t, (size+22)/23, f.Parts)
		require.Equal(t, testutil.Content(size), readBack(t, b, "f"))
	}
}

func TestAStoreThatPlansThePartsNeedsTheSize(t *testing.T) {
	l := sluice.Limits{ServerSizesParts: true}
	_, err := sluice.New(t.Context(), store(l), "f", smallOptions())
	require.ErrorIs(t, err, sluice.ErrSizeRequired)
	require.EqualError(t, err, `sluice: open "f": the size must be known: the store plans the parts from it; set Options.Size`)
}

func TestAPlannedPartOverHalfTheMemoryFailsAtTheFirstByte(t *testing.T) {
	l := sluice.Limits{ServerSizesParts: true}
	b := memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: 5 * page})
	o := smallOptions()
	o.PartSize, o.Size = 0, 100*page
	w, err := sluice.New(t.Context(), b, "f", o)
	require.NoError(t, err)
	_, err = w.Write([]byte{1})
	require.EqualError(t, err, `sluice: start "f": the store plans parts of 80 bytes, and a part may be at most half the memory limit of 128 bytes; set MemoryLimit to at least 160 bytes`)
	require.ErrorContains(t, w.Close(), "the store plans parts of 80 bytes")
	requireNothingLeft(t, b)
}

func TestADeclaredSizeIsKeptOrNothingIsFinished(t *testing.T) {
	for _, size := range []int{1, part, part + 1, 10 * part} {
		for _, sent := range []int{0, size - 1, size, size + 1, size + 3*part} {
			b := store(smallLimits())
			o := smallOptions()
			o.Size = int64(size)
			_, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
				_, err := w.Write(testutil.Content(sent))
				return err
			})
			switch {
			case sent < size:
				require.ErrorIs(t, err, sluice.ErrShortStream)
				require.EqualError(t, err, fmt.Sprintf(`sluice: write "f": stream ended after %d bytes, its declared size is %d`, sent, size))
			case sent > size:
				require.ErrorIs(t, err, sluice.ErrLongStream)
				require.EqualError(t, err, fmt.Sprintf(`sluice: write "f": stream passes its declared size of %d bytes`, size))
			default:
				require.NoError(t, err)
				continue
			}
			requireNothingLeft(t, b)
		}
	}
}

func TestADeclaredSizeGivesEqualParts(t *testing.T) {
	b := memorybackend.New(nil)
	w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: 128 << 20, Size: 20 << 20})
	require.NoError(t, err)
	require.EqualValues(t, 7<<20, w.Settings().PartSize)
	require.EqualValues(t, 20<<20, w.Settings().MaxStreamSize)
	w.Abort(nil)
}
