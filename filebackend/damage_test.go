package filebackend_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
)

// damages are what may become of the data of stored parts 1, 2 and 4 of 16 KiB
// while no upload runs.
var damages = map[string]struct {
	damage func(data []byte) []byte
	parts  string // that must be sent again
	reused int64  // bytes of those that need not
}{
	"a bit of the first part": {func(d []byte) []byte { d[0] ^= 1; return d }, "[1]", 2},
	"a bit of the last part":  {func(d []byte) []byte { d[64<<10-1] ^= 0x80; return d }, "[4]", 2},
	"blocks of zeros":         {func(d []byte) []byte { clear(d[8<<10 : 24<<10]); return d }, "[1 2]", 1},
	"two parts swapped": {func(d []byte) []byte {
		return []byte(string(d[16<<10:32<<10]) + string(d[:16<<10]) + string(d[32<<10:]))
	}, "[1 2]", 1},
	"a hole in its end": {func(d []byte) []byte { clear(d[60<<10:]); return d }, "[4]", 2},
	"all of it":         {func(d []byte) []byte { clear(d); return d }, "[1 2 4]", 0},
}

func TestFinish_FindsDataThatWasDamagedAfterItWasStored(t *testing.T) {
	data := noise(100_000)
	for name, c := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			id := halfWay(t, dir, data)
			hidden := filepath.Join(dir, ".sluice-"+id)
			content, err := os.ReadFile(hidden)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(hidden, c.damage(content), 0o600))

			b := open(t, dir, nil)
			o := small()
			o.Resume = true
			_, err = sluice.Upload(context.Background(), b, "x", o, copyTo(strings.NewReader(data)))
			require.ErrorContains(t, err, "the data of parts "+c.parts+" was damaged after they were stored; resume the large file to send them again")
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			require.NoFileExists(t, filepath.Join(dir, "x"))
			require.Len(t, unfinished(t, b, ""), 1)

			w, err := sluice.New(context.Background(), b, "x", o)
			require.NoError(t, err)
			_, err = w.Write([]byte(data))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.GreaterOrEqual(t, w.Stats().Reused, c.reused*16<<10)
			requireContent(t, dir, "x", data)
			require.Equal(t, []string{"x"}, files(t, dir))
		})
	}
}

// The parts of this handle need no reading, and those that were compared once
// need no second one.
func TestFinish_ComparesPartsOfEarlierHandlesOnce(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "x")
	first := send(t, f, part(1, 0, "one"))
	b := open(t, dir, nil)
	resumed, err := b.ResumeLargeFile(t.Context(), spec("x"), "")
	require.NoError(t, err)
	second := send(t, resumed, part(2, 3, "two"))
	ctx, cancel := context.WithCancelCause(t.Context())
	errStopped := errors.New("stopped")
	looks := 0
	_, err = resumed.Finish(&counting{ctx, func() {
		if looks++; looks == 2 {
			cancel(errStopped)
		}
	}}, []sluice.Receipt{first, second}, nil)
	require.ErrorIs(t, err, errStopped, "reading ends with the context")
	require.NoFileExists(t, filepath.Join(dir, "x"))
	_, err = resumed.Finish(t.Context(), []sluice.Receipt{first, second}, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "onetwo")
}

// counting is a context that tells each look at it.
type counting struct {
	context.Context
	looked func()
}

func (c *counting) Err() error {
	c.looked()
	return c.Context.Err()
}

func TestFinish_SaysThatAPartCannotBeReadAndDropsIt(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "x")
	first, second := send(t, f, part(1, 0, "one")), send(t, f, part(2, 3, "two"))
	b := open(t, dir, &filebackend.Options{NoSync: true})
	resumed, err := b.ResumeLargeFile(t.Context(), spec("x"), "")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(dir, ".sluice-"+f.Info().ID), 5))
	_, err = resumed.Finish(t.Context(), []sluice.Receipt{first, second}, nil)
	require.ErrorContains(t, err, "the data of parts [2] was damaged")
	require.NoFileExists(t, filepath.Join(dir, "x"))
	send(t, resumed, part(2, 3, "two"))
	_, err = resumed.Finish(t.Context(), []sluice.Receipt{first, second}, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "onetwo")
}

func TestResumeLargeFile_PassesOverOneThatIsOlderThanTheFile(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	require.NoError(t, putSingle(b, "x", "file"))
	f := start(t, b, "x")
	path := filepath.Join(dir, "x")
	started := unfinished(t, b, "x")[0].Started
	for outdated, modified := range map[bool]time.Time{false: started.Add(-time.Second), true: started.Add(time.Second)} {
		require.NoError(t, os.Chtimes(path, modified, modified))
		resumed, err := b.ResumeLargeFile(t.Context(), spec("x"), "")
		if outdated {
			require.ErrorIs(t, err, os.ErrNotExist)
			resumed, err = b.ResumeLargeFile(t.Context(), spec("x"), f.Info().ID)
		}
		require.NoError(t, err)
		require.Equal(t, f.Info().ID, resumed.Info().ID)
	}
}
