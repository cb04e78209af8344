package chaos

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child that writes into a folder is killed, up to three times, and the parent finishes the file.
func TestKilledOverAFolder(t *testing.T) {
	sweep(t, 60, func(t *testing.T, rng *rand.Rand) {
		s := spec{
			Folder: t.TempDir(), Content: rng.Uint64(), Size: 8*childPage + rng.IntN(200*childPage), Stdin: true,
			Memory: childPage * (16 + rng.Int64N(16)), PartSize: childPage * (1 + rng.Int64N(4)), Concurrency: rng.IntN(5),
		}
		for range 1 + rng.IntN(3) {
			v := &victim{fed: 1 + rng.IntN(s.Size-1)}
			if oneIn(rng, 2) {
				v.parts = 1 + rng.IntN(10)
			}
			killed, said := v.run(t, &s)
			require.True(t, killed, said)
			_, err := os.Stat(filepath.Join(s.Folder, "f"))
			require.ErrorIs(t, err, os.ErrNotExist, "half a stream is no file")
		}
		s.Stdin = false
		require.NoError(t, s.upload(t.Context(), func() {}))
		got, err := os.ReadFile(filepath.Join(s.Folder, "f"))
		require.NoError(t, err)
		verify(t, got, contentOf(s.Content, s.Size))
		left, err := os.ReadDir(s.Folder)
		require.NoError(t, err)
		for _, entry := range left {
			// A record alone means nothing: its process was killed before there was data.
			require.True(t, entry.Name() == "f" || strings.HasSuffix(entry.Name(), ".record"), entry.Name())
		}
	})
}
