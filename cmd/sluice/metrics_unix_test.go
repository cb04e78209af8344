//go:build unix

package main

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Opening a FIFO to read it waits for a writer, and there is none.
func TestMetrics_RejectAFIFOAndADevice(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "sluice.prom")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for _, path := range []string{fifo, "/dev/null"} {
		tr := newTrial(t)
		require.Equal(t, exitCommand, tr.run(args("--metrics", path, "mem://x", "--", "false")...))
		require.Contains(t, tr.stderr(), "sluice: --metrics: "+path+" exists and is not a regular file")
		tr = newTrial(t)
		tr.stdin(noise(1000))
		require.Equal(t, exitDone, tr.run(args("--metrics", path, "mem://x")...), "the file is stored")
		require.Contains(t, tr.stderr(), "sluice: --metrics: "+path+" exists and is not a regular file")
	}
}
