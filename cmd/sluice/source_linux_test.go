package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files of the kernel's state 4096 bytes, or none.
func TestStdin_AFileThatMisstatesItsSizeIsStoredWhole(t *testing.T) {
	for path, states := range map[string]int64{"/sys/devices/system/cpu/online": 4096, "/proc/version": 0} {
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, want)
		for _, flag := range []string{"-z=false", "--spool=" + t.TempDir()} {
			tr := newTrial(t)
			tr.sys.stdin, err = os.Open(path)
			require.NoError(t, err)
			info, err := tr.sys.stdin.Stat()
			require.NoError(t, err)
			require.Equal(t, states, info.Size())
			require.Equal(t, exitDone, tr.run(flag, "mem://x"), tr.stderr())
			tr.sys.stdin.Close()
			require.Equal(t, want, tr.stored("x"))
		}
	}
}
