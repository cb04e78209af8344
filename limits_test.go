package sluice_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// b2Limits are those of Backblaze B2.
func b2Limits() *sluice.Limits {
	l := memorybackend.DefaultLimits()
	l.MinPart, l.MaxPart, l.MinParts, l.MaxParts, l.MaxFile, l.MaxSingle = 5e6, 5e9, 2, 10_000, 10e12, 5e9
	return &l
}

func newOnB2(t *testing.T, o *sluice.Options) (sluice.Settings, error) {
	w, err := sluice.New(t.Context(), memorybackend.New(&memorybackend.Options{Limits: b2Limits()}), "f", o)
	if err != nil {
		return sluice.Settings{}, err
	}
	defer w.Abort(nil)
	return w.Settings(), nil
}

func TestNewAnnouncesTheReach(t *testing.T) {
	for _, c := range []struct {
		memory, reach int64
		part          int64
		concurrency   int
	}{
		{128 << 20, 603_979_776_000, 8 << 20, 16},
		{256 << 20, 1_207_959_552_000, 16 << 20, 16},
		{1 << 30, 4_831_838_208_000, 64 << 20, 16},
		{2200 << 20, 10e12, 138 << 20, 15},
		{16 << 20, 75_497_472_000, 5 << 20, 3},
	} {
		s, err := newOnB2(t, &sluice.Options{MemoryLimit: c.memory})
		require.NoError(t, err)
		require.Equal(t, c.reach, s.MaxStreamSize)
		require.Equal(t, c.part, s.PartSize)
		require.Equal(t, c.concurrency, s.Concurrency)
		require.Equal(t, c.memory, s.MemoryLimit)
	}
}

func TestBadOptionsAreRefusedWithTheValueAndTheLimit(t *testing.T) {
	pool, err := sluice.NewPool(0, 0)
	require.NoError(t, err)
	for want, o := range map[string]*sluice.Options{
		`negative Options.Size: -2`:           {Size: -2},
		`negative Options.MaxSize: -2`:        {MaxSize: -2},
		`negative Options.PartSize: -3`:       {PartSize: -3},
		`negative Options.Concurrency: -4`:    {Concurrency: -4},
		`negative Options.MemoryLimit: -5`:    {MemoryLimit: -5},
		`negative Options.PageSize: -6`:       {PageSize: -6},
		`negative Options.CleanupTimeout: -7`: {CleanupTimeout: -7},
		`a Pool has its own memory limit, page size and folder: leave Options.MemoryLimit, PageSize and BufferDir empty`:                                                                                      {Pool: pool, MemoryLimit: 1},
		`size 2 GB (Options.Size) is over 1 GB (Options.MaxSize)`:                                                                                                                                             {Size: 2e9, MaxSize: 1e9},
		`memory limit 1 MiB holds fewer than two pages of 1 MiB`:                                                                                                                                              {MemoryLimit: 1 << 20},
		`the store's smallest part is 5 MB, and a part may be at most half the memory limit of 8 MiB; set MemoryLimit to at least 10 MiB`:                                                                     {MemoryLimit: 8 << 20},
		`Options.PartSize 1 MiB is not between 5 MB and 64 MiB (the store's smallest part, and its largest or half the memory limit)`:                                                                         {PartSize: 1 << 20},
		`Options.PartSize 65 MiB is not between 5 MB and 64 MiB (the store's smallest part, and its largest or half the memory limit)`:                                                                        {PartSize: 65 << 20},
		`Options.MaxSize 1 TB: stream passes 603.9 GB, the most that MemoryLimit 128 MiB carries in 10000 parts (64 MiB each); set MemoryLimit to at least 212 MiB for 1 TB, or BufferDir to have it on disk`: {MaxSize: 1e12},
		`Options.Size 671 GB: stream passes 671 GB, the most that MemoryLimit 128 MiB carries in 10000 parts (64 MiB each); set MemoryLimit to at least 144 MiB for 671 GB, or BufferDir to have it on disk`:  {Size: 671_088_640_001},
		`Options.MaxSize 11 TB: stream passes 10 TB, the largest file the store takes`:                                                                                                                        {MaxSize: 11e12, MemoryLimit: 4 << 30},
		`Options.Digests: algorithm "x" lacks a name or a constructor`:                                                                                                                                        {Digests: []sluice.Algorithm{{Name: "x"}}},
	} {
		_, err := newOnB2(t, o)
		require.EqualError(t, err, `sluice: open "f": `+want)
	}
}

func TestABackendsRefusalOfTheNameComesBeforeAByte(t *testing.T) {
	b := memorybackend.New(nil)
	_, err := sluice.New(t.Context(), b, "", nil)
	var e *sluice.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "open", e.Op)
}

func TestInconsistentLimitsOfABackendAreRefused(t *testing.T) {
	for _, l := range []sluice.Limits{{MinParts: 3, MaxSingle: 1}, {MinParts: 2}} {
		_, err := sluice.New(t.Context(), store(l), "f", nil)
		require.ErrorContains(t, err, "backend's Limits are inconsistent: MinParts")
	}
}

// endless is a source that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// discarding is a store that only counts, with limits as small as the pages of a test.
func discarding(l sluice.Limits) *memorybackend.Backend {
	return memorybackend.New(&memorybackend.Options{Limits: &l, Discard: true})
}

func TestTheStreamEndsExactlyAtTheReach(t *testing.T) {
	l := sluice.Limits{MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 30}
	for name, c := range map[string]struct {
		options sluice.Options
		maxFile int64
		text    string
	}{
		"memory": {
			sluice.Options{MemoryLimit: 16 * page, PageSize: page},
			0,
			"stream passes 1.1 MB, the most that MemoryLimit 256 bytes carries in 10000 parts (128 bytes each); set MemoryLimit to at least 512 bytes for 2.3 MB, or BufferDir to have it on disk",
		},
		"the store's largest file": {
			sluice.Options{MemoryLimit: 16 * page, PageSize: page},
			500_001,
			"stream passes 500 kB, the largest file the store takes",
		},
		"MaxSize": {
			sluice.Options{MemoryLimit: 16 * page, PageSize: page, MaxSize: 77_777},
			0,
			"stream passes MaxSize, 77.7 kB",
		},
		"the store's parts": {
			sluice.Options{MemoryLimit: 4096 * page, PageSize: page},
			0,
			"stream passes 1 MB, the most that the store's 10000 parts of at most 100 bytes carry",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := l
			l.MaxFile = c.maxFile
			if name == "the store's parts" {
				l.MaxPart = 100
			}
			b := discarding(l)
			w, err := sluice.New(t.Context(), b, "whole", &c.options)
			require.NoError(t, err)
			reach := w.Settings().MaxStreamSize
			require.Equal(t, reach, w.Stats().MaxStreamSize)
			n, err := io.Copy(w, io.LimitReader(endless{}, reach))
			require.NoError(t, err)
			require.Equal(t, reach, n)
			require.NoError(t, w.Close(), "all that was announced is carried")
			require.EqualValues(t, reach, w.File().Size)
			require.LessOrEqual(t, w.File().Parts, 10_000)

			w, err = sluice.New(t.Context(), b, "more", &c.options)
			require.NoError(t, err)
			n, err = io.Copy(w, endless{})
			require.Equal(t, reach, n, "the first byte beyond fails")
			require.ErrorIs(t, err, sluice.ErrTooLarge)
			require.EqualError(t, err, `sluice: write "more": `+c.text)
			require.ErrorIs(t, w.Close(), sluice.ErrTooLarge)
			require.Equal(t, []string{"whole"}, b.Names())
			require.Empty(t, b.Leftovers(""))
		})
	}
}

func TestWithEnoughMemoryTheStoresLargestFileIsCarried(t *testing.T) {
	// B2 in small: 10,000 parts between a twentieth and fifty times of a mean part.
	l := sluice.Limits{MinPart: page, MaxPart: 50 * 20 * page, MinParts: 2, MaxParts: 10_000, MaxFile: 20 * page * 10_000, MaxSingle: 1 << 30}
	w, err := sluice.New(t.Context(), discarding(l), "f", &sluice.Options{MemoryLimit: 46 * page, PageSize: page})
	require.NoError(t, err)
	require.EqualValues(t, l.MaxFile, w.Settings().MaxStreamSize)
	n, err := io.Copy(w, io.LimitReader(endless{}, l.MaxFile))
	require.NoError(t, err)
	require.Equal(t, l.MaxFile, n)
	require.NoError(t, w.Close())
}

func TestTooLargeIsToldByErrorsIs(t *testing.T) {
	_, err := newOnB2(t, &sluice.Options{MaxSize: 1e12})
	require.ErrorIs(t, err, sluice.ErrTooLarge)
	require.NotErrorIs(t, err, sluice.ErrLongStream)
}
