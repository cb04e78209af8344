//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package disk

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnlock_EndsTheLockOfAProcessBeingForked(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	first, err := os.Create(name)
	require.NoError(t, err)
	defer first.Close()
	require.NoError(t, Lock(first))
	forked, err := syscall.Dup(int(first.Fd())) // what fork makes of it
	require.NoError(t, err)
	defer syscall.Close(forked)

	second, err := os.Open(name)
	require.NoError(t, err)
	defer second.Close()
	require.ErrorIs(t, Lock(second), ErrLocked)
	require.NoError(t, Unlock(first))
	require.NoError(t, Lock(second))
}
