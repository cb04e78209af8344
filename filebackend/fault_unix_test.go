//go:build unix

package filebackend_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/filebackend"
)

func init() {
	children["large on a full disk"] = func(b *filebackend.Backend) error {
		return errors.Join(fillUp(), uploadSlowly(b, crashSize))
	}
	children["single on a full disk"] = func(b *filebackend.Backend) error {
		return errors.Join(fillUp(), putSingle(b, "x", noise(crashSize)))
	}
	children["in a folder that is not its own"] = func(b *filebackend.Backend) error {
		return errors.Join(becomeNobody(), put(b, "x", "a", "b"))
	}
}

// fillUp lets this process make files of up to 1 MiB: the system refuses writes
// beyond that just as it does on a full disk.
func fillUp() error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20})
}

// becomeNobody gives up the privileges for which permissions do not count.
func becomeNobody() error {
	if os.Getuid() != 0 {
		return nil
	}
	return syscall.Setuid(65534)
}

func TestAFullDiskIsAPlainErrorAndLeavesNothing(t *testing.T) {
	for _, as := range []string{"large on a full disk", "single on a full disk"} {
		dir := t.TempDir()
		text := outcome(t, as, dir)
		require.Contains(t, text, "file too large")
		require.Contains(t, text, dir+"/.sluice-", "the path is named")
		require.Empty(t, files(t, dir))
	}
}

func TestAFolderThatMayNotBeWrittenToIsAPlainError(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	text := outcome(t, "in a folder that is not its own", dir)
	require.Contains(t, text, fmt.Sprintf(`filebackend: starting "x" in %s`, dir))
	require.Contains(t, text, "permission denied")
	require.Empty(t, files(t, dir))
}

func TestAFolderThatWasRemovedIsAPlainError(t *testing.T) {
	dir := t.TempDir() + "/sub"
	require.NoError(t, os.Mkdir(dir, 0o777))
	b := open(t, dir, nil)
	require.NoError(t, os.Remove(dir))
	_, err := b.StartLargeFile(context.Background(), spec("x"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, dir)
}
