package filebackend_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// Looking at a large file takes nothing away from its upload.
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

// A record may say anything of sizes and times.
func TestUnfinished_ListsAllWhateverTheirSizesAndTimes(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	odd := []struct{ size, started string }{
		{"-7", "0000-01-01T00:00:00Z"}, {"-9223372036854775808", "0001-01-01T00:00:00+23:59"}, {"9223372036854775807", "9999-12-31T23:59:59-23:59"},
	}
	good := start(t, b, "x").Info().ID
	for _, o := range odd {
		id := start(t, b, "x").Info().ID
		record := fmt.Sprintf(`{"sluice":1,"name":"x","size":%s,"started":%q}`+"\n"+
			`{"part":1,"size":9223372036854775807,"crc32c":"00000000","stored":%[2]q}`+"\n", o.size, o.started)
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".sluice-"+id+".record"), []byte(record), 0o600))
	}
	found := unfinished(t, b, "")
	require.Len(t, found, len(odd)+1)
	for _, u := range found {
		_, err := json.Marshal(u.Started)
		require.NoError(t, err)
		require.Equal(t, u.ID == good, !u.Started.IsZero())
		require.Equal(t, u.Started.IsZero(), u.Age == 0)
		require.GreaterOrEqual(t, u.Spec.Size, int64(sluice.UnknownSize))
		_, err = b.Parts(context.Background(), u)
		require.NoError(t, err)
		f, err := b.ResumeLargeFile(context.Background(), spec("x"), u.ID)
		require.NoError(t, err)
		require.Empty(t, f.Info().Stored, "the data has no such part")
		require.NoError(t, f.Cancel(context.Background()))
	}
	require.Empty(t, files(t, dir))
}
