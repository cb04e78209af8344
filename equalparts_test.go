package sluice_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// equalStore refuses to finish a large file whose parts differ in size.
func equalStore(maxParts int) *memorybackend.Backend {
	l := smallLimits()
	l.EqualParts, l.MinParts, l.MaxParts = true, 1, maxParts
	return store(l)
}

func TestEqualParts_StreamsOfEveryLengthAreStored(t *testing.T) {
	for _, concurrency := range []int{0, 1, 2, 3, 7} {
		for _, size := range []bool{false, true} {
			for _, oneByte := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d uploads, size known %v, read by bytes %v", concurrency, size, oneByte), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := equalStore(10_000)
						for n := range 6*part + 2 {
							o := smallOptions()
							o.MemoryLimit, o.Concurrency = 32*page, concurrency
							if size {
								o.Size = int64(n)
							}
							source := io.Reader(bytes.NewReader(testutil.Content(n)))
							if oneByte {
								source = iotest.OneByteReader(source)
							}
							w, err := sluice.New(t.Context(), b, "f", o)
							require.NoError(t, err)
							_, err = w.ReadFrom(source)
							require.NoError(t, err)
							require.NoError(t, w.Close(), "%d bytes", n)
							require.True(t, bytes.Equal(testutil.Content(n), readBack(t, b, "f")), "%d bytes", n)
						}
					})
				})
			}
		}
	}
}

// The size of the parts follows from how long the stream can become.
func TestEqualParts_SettingsFollowTheLength(t *testing.T) {
	for name, c := range map[string]struct {
		o          sluice.Options
		part, most int64
		err        string
	}{
		"unknown":                {sluice.Options{}, 16, 160, ""},
		"part size":              {sluice.Options{PartSize: 64}, 64, 640, ""},
		"size":                   {sluice.Options{Size: 1000}, 112, 1000, ""},
		"size, in fewer parts":   {sluice.Options{Size: 33}, 16, 33, ""},
		"longest":                {sluice.Options{MaxSize: 1000}, 112, 1000, ""},
		"short":                  {sluice.Options{MaxSize: 100}, 16, 100, ""},
		"as long as memory":      {sluice.Options{Size: 1280}, 128, 1280, ""},
		"longer than memory":     {sluice.Options{Size: 1281}, 0, 0, "the most that MemoryLimit 256 bytes carries in 10 parts (128 bytes each); set MemoryLimit"},
		"part size and size":     {sluice.Options{PartSize: 32, Size: 320}, 32, 320, ""},
		"part size, longer size": {sluice.Options{PartSize: 32, Size: 321}, 0, 0, "the most that 10 equal parts of 32 bytes carry; set PartSize"},
		"part size, longest":     {sluice.Options{PartSize: 32, MaxSize: 321}, 0, 0, "the most that 10 equal parts of 32 bytes carry; set PartSize"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.MemoryLimit, c.o.PageSize = 16*page, page
			w, err := sluice.New(t.Context(), equalStore(10), "f", &c.o)
			if c.err != "" {
				require.ErrorIs(t, err, sluice.ErrTooLarge)
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			defer w.Abort(nil)
			require.Equal(t, c.part, w.Settings().PartSize)
			require.Equal(t, c.part, w.Settings().MaxPart)
			require.Equal(t, c.most, w.Settings().MaxStreamSize)
		})
	}
}

func TestEqualParts_AStreamThatIsTooLongFailsAndSaysWhatToSet(t *testing.T) {
	b := equalStore(10)
	o := smallOptions()
	w, err := sluice.New(t.Context(), b, "f", o)
	require.NoError(t, err)
	n, err := w.Write(testutil.Content(10*part + 1))
	require.Equal(t, 10*part, n)
	require.ErrorIs(t, err, sluice.ErrTooLarge)
	require.ErrorContains(t, err, "stream passes 320 bytes, the most that 10 equal parts of 32 bytes carry; set PartSize, or MaxSize")
	require.Error(t, w.Close())
	requireNothingLeft(t, b)
}

// Whatever is stored of an earlier run, and whatever the size of its parts, the
// file that a later run makes of it has equal parts.
func TestEqualParts_AreThoseOfTheEarlierRun(t *testing.T) {
	for _, earlier := range []int{page, part, part + 5, 4 * page} {
		for _, stored := range [][]int{{1}, {1, 2}, {2, 3}, {1, 3}, {3}, {5}, {1, 5}, {4, 5}, {1, 2, 3, 4, 5}} {
			t.Run(fmt.Sprintf("parts of %d, stored %v", earlier, stored), func(t *testing.T) {
				data := testutil.Content(4*earlier + page + 1) // five parts of the earlier run
				b := equalStore(20)
				f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize})
				require.NoError(t, err)
				for _, n := range stored {
					bytes := data[(n-1)*earlier : min(n*earlier, len(data))]
					digests := sluice.Digests{{Name: "sha256", Sum: sum256(bytes)}}
					_, err := f.UploadPart(t.Context(), sluice.NewPart(n, bytes, digests))
					require.NoError(t, err)
				}
				o := smallOptions()
				o.Resume, o.MemoryLimit = true, 16*page
				w, err := sluice.New(t.Context(), b, "f", o)
				require.NoError(t, err)
				if _, err = w.Write(data); err == nil {
					err = w.Close()
				}
				// A single part of which nothing tells the size of the others is
				// compared at another place of the stream.
				if len(stored) == 1 && stored[0] > 1 && earlier != part {
					if errors.Is(err, sluice.ErrResumeMismatch) {
						return
					}
				}
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, readBack(t, b, "f")))
			})
		}
	}
}

// A part size that is not enough for the rest of the stream is an error before a byte is sent.
func TestEqualParts_OfTheEarlierRunMayNotCarryTheStream(t *testing.T) {
	b := equalStore(10)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize})
	require.NoError(t, err)
	data := testutil.Content(page)
	_, err = f.UploadPart(t.Context(), sluice.NewPart(1, data, sluice.Digests{{Name: "sha256", Sum: sum256(data)}}))
	require.NoError(t, err)
	o := smallOptions()
	o.Resume, o.PartSize, o.Size = true, 0, 10*page+1
	_, err = sluice.New(t.Context(), b, "f", o)
	require.ErrorIs(t, err, sluice.ErrResumeMismatch)
	require.ErrorIs(t, err, sluice.ErrTooLarge)
	o.RestartOnMismatch = true
	w, err := sluice.New(t.Context(), b, "f", o)
	require.NoError(t, err)
	_, err = w.Write(testutil.Content(10*page + 1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Len(t, readBack(t, b, "f"), 10*page+1)
}
