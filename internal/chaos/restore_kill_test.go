package chaos

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child that restores to a file is killed, up to three times, and may find the
// disk full. The target stays what it was until the parent finishes it, which
// fetches what the children have not.
func TestKilledRestores(t *testing.T) {
	sweep(t, 60, func(t *testing.T, rng *rand.Rand) {
		data := content(rng, 8*childPage+rng.IntN(100*childPage))
		s := spec{
			Folder: t.TempDir(), Target: filepath.Join(t.TempDir(), "target"),
			Memory: childPage * (16 + rng.Int64N(16)), PartSize: childPage * (1 + rng.Int64N(3)), Concurrency: rng.IntN(5),
		}
		require.NoError(t, os.WriteFile(filepath.Join(s.Folder, "f"), data, 0o600))
		if oneIn(rng, 2) {
			require.NoError(t, os.WriteFile(s.Target, []byte("old"), 0o600))
		}
		before, err := os.ReadFile(s.Target)
		untouched := func() {
			now, nowErr := os.ReadFile(s.Target)
			require.Equal(t, before, now)
			require.Equal(t, err == nil, nowErr == nil)
		}
		for range rng.IntN(4) {
			s.Stop = 1 + rng.IntN(len(data)/int(s.PartSize)/2)
			killed, said := (&victim{parts: s.Stop}).run(t, &s)
			require.True(t, killed, said)
			untouched()
		}
		s.Stop = 0
		if runtime.GOOS != "windows" && oneIn(rng, 4) { // which limits no files
			limited := s
			limited.FileLimit = uint64(childPage + rng.Int64N(int64(len(data)-2*childPage)))
			killed, said := (&victim{}).run(t, &limited)
			require.False(t, killed)
			require.Contains(t, said, "file too large")
			require.Contains(t, said, ".sluice-partial-target", "the path is named")
			untouched()
		}
		if oneIn(rng, 4) {
			data = content(rng, len(data))
			require.NoError(t, os.WriteFile(filepath.Join(s.Folder, "f"), data, 0o600))
		}
		require.NoError(t, s.restore(t.Context(), func() {}))
		got, err := os.ReadFile(s.Target)
		require.NoError(t, err)
		verify(t, got, data)
		left, err := os.ReadDir(filepath.Dir(s.Target))
		require.NoError(t, err)
		require.Len(t, left, 1, "nothing but the target is left")
	})
}
