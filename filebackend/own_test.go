package filebackend

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestForeign_TellsWhoseAFileIs stands for the users that a test cannot become.
func TestForeign_TellsWhoseAFileIs(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	uid, known := owner(info)
	if !known {
		require.Empty(t, foreign(info, made{uid: 1}), "the system does not say")
		return
	}
	require.Empty(t, foreign(info, made{uid: uid}))
	require.Contains(t, foreign(info, made{uid: uid + 1}), "it belongs to the user")
	open := moded{info, 0o622}
	require.Contains(t, foreign(open, made{uid: uid}), "others may write to it (-rw--w--w-)")
	require.Contains(t, foreign(open, made{uid: uid, writable: 0o020}), "others may write to it")
	require.Empty(t, foreign(open, made{uid: uid, writable: 0o022}))
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
	b, err := New(t.TempDir(), nil)
	require.NoError(t, err)
	defer b.Close()
	own := b.probe()
	left, err := fs.ReadDir(b.root.FS(), ".")
	require.NoError(t, err)
	require.Empty(t, left, "the probe is removed")
	f, err := b.create("x")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	info, err := b.root.Lstat("x")
	require.NoError(t, err)
	require.NoError(t, b.checkOwn(info))
	if !own.known {
		return // where the system does not say, all are taken
	}
	open := moded{info, 0o666}
	require.ErrorIs(t, b.checkOwn(open), errForeign)
	b.made = func() made { return made{uid: own.uid, writable: 0o022, known: true} }
	require.NoError(t, b.checkOwn(open))
	b.made = func() made { return made{} }
	require.ErrorIs(t, b.checkOwn(open), errForeign, "nothing can be made there")
	require.ErrorIs(t, b.checkOwn(moded{info, fs.ModeSymlink | 0o777}), errForeign)
}

func TestARecordNames_AnElementAlone(t *testing.T) {
	_, _, _, err := parseHeader([]byte(`{"sluice":1,"name":"../x","size":-1,"started":"` + time.Now().Format(time.RFC3339) + `"}` + "\n"))
	require.ErrorContains(t, err, `line 1 of the record is damaged: the name "../x" is no element of a path`)
	require.False(t, errors.Is(err, errForeign))
}
