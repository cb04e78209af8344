package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func openFolder(t *testing.T) *Folder {
	root, err := os.OpenRoot(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return NewFolder(root)
}

// newFile makes a file, and returns what the system says of it.
func newFile(t *testing.T, f *Folder, name string) fs.FileInfo {
	file, err := f.CreateOwn(name, 0)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	info, err := f.Lstat(name)
	require.NoError(t, err)
	return info
}

// TestForeign_TellsWhoseAFileIs stands for the users that a test cannot become.
func TestForeign_TellsWhoseAFileIs(t *testing.T) {
	info := newFile(t, openFolder(t), "x")
	of, known := owner(info)
	own := func(uid int, writable fs.FileMode, links uint64) made {
		return made{uid: uid, writable: writable, links: links}
	}
	if !known {
		require.Empty(t, foreign(info, own(1, 0, 1)), "the system does not say")
		return
	}
	require.Empty(t, foreign(info, own(of.uid, 0, 1)))
	require.Contains(t, foreign(info, own(of.uid+1, 0, 1)), "it belongs to the user")
	require.Contains(t, foreign(info, own(of.uid, 0, 0)), "it has 1 names")
	open := moded{info, 0o622}
	require.Contains(t, foreign(open, own(of.uid, 0, 1)), "others may write to it (-rw--w--w-)")
	require.Contains(t, foreign(open, own(of.uid, 0o020, 1)), "others may write to it")
	require.Empty(t, foreign(open, own(of.uid, 0o022, 1)))
}

// moded is a file's info with another mode.
type moded struct {
	fs.FileInfo
	mode fs.FileMode
}

func (m moded) Mode() fs.FileMode { return m.mode }

// A file system that shows every file as another user's, or writable by all, is
// one on which no other's file can be told.
func TestCheckOwn_TakesTheFileSystemsWordForFilesMadeThere(t *testing.T) {
	f := openFolder(t)
	own := f.probe()
	left, err := fs.ReadDir(f.FS(), ".")
	require.NoError(t, err)
	require.Empty(t, left, "the probe is removed")
	info := newFile(t, f, "x")
	require.NoError(t, f.CheckOwn(info))
	if !own.known {
		return // where the system does not say, all are taken
	}
	open := moded{info, 0o666}
	require.ErrorIs(t, f.CheckOwn(open), ErrForeign)
	f.made = func() made { return made{uid: own.uid, writable: 0o022, links: 1, known: true} }
	require.NoError(t, f.CheckOwn(open))
	f.made = func() made { return made{} }
	require.ErrorIs(t, f.CheckOwn(open), ErrForeign, "nothing can be made there")
	require.ErrorIs(t, f.CheckOwn(moded{info, fs.ModeSymlink | 0o777}), ErrForeign)
}

// A file with two names may be one of this user's that another has linked there
// to have it overwritten.
func TestOpenOwn_RejectsAFileOfTwoNames(t *testing.T) {
	f := openFolder(t)
	if !f.probe().known {
		return // the system does not say
	}
	newFile(t, f, "victim")
	require.NoError(t, f.Link("victim", "x"))
	_, err := f.OpenOwn("x", os.O_RDWR)
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorContains(t, err, "it has 2 names")
	require.NoError(t, f.Remove("victim"))
	file, err := f.OpenOwn("x", os.O_RDWR)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// A file that takes the name of the one that was looked at is looked at too, and
// one that is replaced without end is given up.
func TestOpenOwn_OpensWhatItHasLookedAt(t *testing.T) {
	f := openFolder(t)
	newFile(t, f, "x")
	dir := filepath.Join(f.Name(), "x")
	swaps := 0
	swap := func() {
		swaps++
		require.NoError(t, os.WriteFile(dir+"-", nil, 0o600))
		require.NoError(t, os.Rename(dir+"-", dir))
	}
	// asked between the two looks, because the file can be written to by others
	f.made = func() made {
		swap()
		return made{uid: os.Geteuid(), writable: 0o022, links: 1, known: true}
	}
	if !f.probe().known {
		return // nothing is asked
	}
	require.NoError(t, os.Chmod(dir, 0o666))
	file, err := f.OpenOwn("x", os.O_RDWR)
	require.NoError(t, err, "the second look finds one that is this user's")
	opened, err := file.Stat()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, fs.FileMode(0o600), opened.Mode())
	require.Equal(t, 1, swaps)

	once := swap
	swap = func() {
		once()
		require.NoError(t, os.Chmod(dir, 0o666))
	}
	swap()
	_, err = f.OpenOwn("x", os.O_RDWR)
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorContains(t, err, "replaced again and again")
}

func TestCreateOwn_LeavesAloneWhatHasTheName(t *testing.T) {
	f := openFolder(t)
	newFile(t, f, "victim")
	require.NoError(t, f.Symlink("nothing", "x"))
	_, err := f.CreateOwn("x", 0)
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = f.Lstat("nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// Else another user could have a file made that anybody may read and write.
func TestKept_TakesNoPermissionsFromAnotherUsersFile(t *testing.T) {
	f := openFolder(t)
	none, err := f.Replaced("x")
	require.NoError(t, err)
	_, ok := f.Kept(none)
	require.False(t, ok)
	newFile(t, f, "x")
	require.NoError(t, f.Chmod("x", 0o644))
	info, err := f.Replaced("x")
	require.NoError(t, err)
	mode, ok := f.Kept(info)
	require.True(t, ok)
	require.Equal(t, info.Mode(), mode)
	require.NoError(t, f.Mkdir("folder", 0o700))
	_, err = f.Replaced("folder")
	require.ErrorContains(t, err, "there is a folder of that name")
	require.False(t, errors.Is(err, ErrForeign))
}

// Where an int has 32 bits, files are smaller than 2 GiB unless a flag says else.
func TestFolder_TakesFilesOfMoreThan2GiB(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	require.NoError(t, err)
	defer root.Close()
	f := NewFolder(root)
	made, err := f.CreateOwn("large", 0)
	require.NoError(t, err)
	_, err = made.WriteAt([]byte("end"), 3<<30) // the rest takes no room
	require.NoError(t, err)
	require.NoError(t, made.Close())
	again, err := f.OpenOwn("large", os.O_RDWR)
	require.NoError(t, err)
	defer again.Close()
	got := make([]byte, 3)
	_, err = again.ReadAt(got, 3<<30)
	require.NoError(t, err)
	require.Equal(t, "end", string(got))
}
