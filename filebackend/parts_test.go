package filebackend_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// Looking at a large file takes nothing away from whoever uploads it.
func TestPartsTellsWhatIsStoredAndWhenAndTakesNothingOver(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "a/x")
	second := send(t, f, part(2, 3, "second"))
	first := send(t, f, part(1, 0, "one"))
	other := open(t, dir, nil)
	u := unfinished(t, other, "a/")[0]
	got, err := other.Parts(t.Context(), u)
	require.NoError(t, err)
	for i := range got {
		require.WithinDuration(t, time.Now(), got[i].Stored, time.Minute)
		got[i].Stored = time.Time{}
	}
	require.Equal(t, []sluice.StoredPart{{Receipt: first}, {Receipt: second}}, got)
	_, err = f.Finish(t.Context(), []sluice.Receipt{first, second}, nil)
	require.NoError(t, err)
	requireContent(t, dir, "a/x", "onesecond")
	for _, id := range []string{u.ID, "nonsense"} {
		_, err = other.Parts(t.Context(), sluice.UnfinishedFile{ID: id, Spec: u.Spec})
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

func TestARecordWithoutTimesIsReadToo(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	f := start(t, b, "x")
	first := send(t, f, part(1, 0, "one"))
	records, err := filepath.Glob(filepath.Join(dir, ".sluice-*"))
	require.NoError(t, err)
	without := 0
	for _, name := range records {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		old := regexp.MustCompile(`,"stored":"[^"]*"`).ReplaceAll(text, nil)
		if len(old) < len(text) {
			without++
			require.NoError(t, os.WriteFile(name, old, 0o600))
		}
	}
	require.Equal(t, 1, without)
	got, err := b.Parts(t.Context(), unfinished(t, b, "x")[0])
	require.NoError(t, err)
	require.Equal(t, []sluice.StoredPart{{Receipt: first}}, got)
	again, err := b.ResumeLargeFile(t.Context(), spec("x"), "")
	require.NoError(t, err)
	require.Equal(t, []sluice.Receipt{first}, again.Info().Stored)
}
