package memorybackend_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/memorybackend"
)

func TestFSBehavesAsAFileSystem(t *testing.T) {
	b := memorybackend.New(nil)
	names := []string{"a.txt", "a/b", "a/c/d.tar", "a-b", "é", "empty", "deep/er/and/deeper"}
	for _, name := range names {
		putLarge(t, b, name, []byte("the first part,"), []byte("the second part"))
	}
	putSingle(t, b, "single", []byte("one call"))
	putSingle(t, b, "nothing", nil)
	require.NoError(t, fstest.TestFS(b.FS(), append(names, "single", "nothing")...))
}

func TestFSLeavesOutNamesThatAreNoPaths(t *testing.T) {
	b := memorybackend.New(nil)
	for _, name := range []string{"/rooted", "a//b", "../up", "slash/", ".", "good"} {
		putSingle(t, b, name, []byte(name))
	}
	require.NoError(t, fstest.TestFS(b.FS(), "good"))
	entries, err := fs.ReadDir(b.FS(), ".")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "/rooted", string(read(t, b, "/rooted")), "Open reads a name that is no path")
}

func TestFSShowsAFileBeforeWhatIsBelowItsName(t *testing.T) {
	b := memorybackend.New(nil)
	putSingle(t, b, "x", []byte("file"))
	putSingle(t, b, "x/y", []byte("below a file"))
	require.NoError(t, fstest.TestFS(b.FS(), "x"))
	_, err := fs.Stat(b.FS(), "x/y")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, "below a file", string(read(t, b, "x/y")))
}

func TestFSIsEmptyAtFirstAndFollowsTheBackend(t *testing.T) {
	b := memorybackend.New(nil)
	fsys := b.FS()
	require.NoError(t, fstest.TestFS(fsys))
	putSingle(t, b, "later", []byte("x"))
	require.NoError(t, fstest.TestFS(fsys, "later"))
}
