package filebackend_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
)

func TestSource_ReadsWhatAnyProgramPutThere(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	data := bytes.Repeat([]byte("0123456789"), 1<<20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), data, 0o600))
	var got bytes.Buffer
	f, err := sluice.Download(t.Context(), b, "f", &got, nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got.Bytes()))
	require.EqualValues(t, len(data), f.Size)
	require.False(t, f.Modified.IsZero())
}

func TestSource_SeesEveryChangeOfAFile(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"replaced by an equal file": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+"2", []byte("others"), 0o600))
			require.NoError(t, os.Chtimes(path+"2", info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(path+"2", path))
		},
		"cut short": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 3)) },
		"longer": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("data and more"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, dir, nil)
			path := filepath.Join(dir, "f")
			require.NoError(t, os.WriteFile(path, []byte("stored"), 0o600))
			f, err := b.Stat(t.Context(), "f")
			require.NoError(t, err)
			change(t, path)
			require.ErrorIs(t, b.ReadRange(t.Context(), f, sluice.NewRange(0, 6)), sluice.ErrReplaced)
			require.ErrorIs(t, b.Remove(t.Context(), f), sluice.ErrReplaced)
			require.FileExists(t, path)
		})
	}
}

func TestSource_OnlyRegularFilesAreFiles(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "folder", "f"), nil, 0o600))
	require.NoError(t, os.Symlink("folder/f", filepath.Join(dir, "link")))
	for _, name := range []string{"folder", "link", "folder/f/g", "none", "none/f"} {
		_, err := b.Stat(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		err = b.ReadRange(t.Context(), sluice.StoredFile{File: sluice.File{Name: name}}, sluice.NewRange(0, 0))
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		require.ErrorIs(t, b.Remove(t.Context(), sluice.StoredFile{File: sluice.File{Name: name}}), fs.ErrNotExist, name)
	}
	for _, name := range []string{"../f", ".sluice-x", ""} {
		_, err := b.Stat(t.Context(), name)
		require.Error(t, err, name)
	}
	require.Equal(t, []string{"folder/f"}, listed(t, b, ""))
}

func TestSource_ListsByFullName(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, &filebackend.Options{NoSync: true})
	for _, name := range []string{"a/b", "a-b", "a/c/d", "ab", "z"} {
		require.NoError(t, putSingle(b, name, "x"))
	}
	start(t, b, "a/unfinished")
	require.Equal(t, []string{"a-b", "a/b", "a/c/d", "ab", "z"}, listed(t, b, ""))
	require.Equal(t, []string{"a-b", "a/b", "a/c/d", "ab"}, listed(t, b, "a"))
	require.Equal(t, []string{"a/b", "a/c/d"}, listed(t, b, "a/"))
	require.Equal(t, []string{"a/c/d"}, listed(t, b, "a/c"))
	require.Empty(t, listed(t, b, "../"))
	require.Empty(t, listed(t, b, "none/"))
}

func listed(t *testing.T, b *filebackend.Backend, prefix string) []string {
	t.Helper()
	var names []string
	for f, err := range b.List(t.Context(), prefix) {
		require.NoError(t, err)
		names = append(names, f.Name)
	}
	return names
}

func TestSource_AnEndedContextEndsEveryCall(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	require.NoError(t, putSingle(b, "f", "data"))
	f, err := b.Stat(t.Context(), "f")
	require.NoError(t, err)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = b.Stat(ctx, "f")
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, b.ReadRange(ctx, f, sluice.NewRange(0, 4)), cause)
	require.ErrorIs(t, b.Remove(ctx, f), context.Canceled)
	for _, err := range b.List(ctx, "") {
		require.ErrorIs(t, err, cause)
	}
	require.ErrorContains(t, b.ReadRange(t.Context(), f, sluice.NewRange(2, 3)), "bytes 2 to 5 are beyond its 4")
}

// A folder keeps no digests; a manifest does.
func TestReadRange_OfADamagedFileIsFoundByItsManifest(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	o := small()
	o.Manifest = true
	data := noise(20_000)
	_, err := sluice.Upload(t.Context(), b, "x", o, copyTo(strings.NewReader(data)))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"x", "x.manifest.json"}, files(t, dir))
	restore := func(o *sluice.ReadOptions) (string, error) {
		var got strings.Builder
		_, err := sluice.Download(t.Context(), b, "x", &got, o)
		return got.String(), err
	}
	got, err := restore(nil)
	require.NoError(t, err)
	require.Equal(t, data, got)

	bad := []byte(data)
	bad[15_000] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), bad, 0o600))
	got, err = restore(nil)
	require.ErrorIs(t, err, sluice.ErrDamaged)
	require.True(t, strings.HasPrefix(data, got), "no damaged byte is delivered")
	got, err = restore(&sluice.ReadOptions{IgnoreManifest: true})
	require.NoError(t, err, "nothing else tells")
	require.Equal(t, string(bad), got)
}
