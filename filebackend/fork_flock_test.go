//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filebackend

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProcessBeingForkedDoesNotHoldTheLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	first, err := os.Create(name)
	require.NoError(t, err)
	require.NoError(t, lock(first))
	forked, err := syscall.Dup(int(first.Fd())) // what fork makes of it
	require.NoError(t, err)
	defer syscall.Close(forked)

	second, err := os.Open(name)
	require.NoError(t, err)
	defer second.Close()
	require.ErrorIs(t, lock(second), errBusy)
	require.NoError(t, closeRecord(first))
	require.NoError(t, lock(second))
}
