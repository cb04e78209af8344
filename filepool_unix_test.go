//go:build unix

package sluice

import (
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemporaryFiles_AreNewAndTheirOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	b, err := newBufferFile(dir, 4096)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.close()) }()
	_, err = b.write(make([]byte, 4096))
	require.NoError(t, err)
	info, err := b.file.(*os.File).Stat()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.Zero(t, info.Sys().(*syscall.Stat_t).Nlink)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
