package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestAFolderComesBackFromItsArchive(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "photos")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "2026"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "2026", "a b.txt"), []byte("alpha"), 0o600))
	store := memorybackend.New(nil)
	var stderr bytes.Buffer

	require.Zero(t, run(t.Context(), store, []string{folder}, &stderr), &stderr)

	require.Contains(t, stderr.String(), "photos.tar.zst is stored")
	require.Equal(t, map[string]string{"2026/": "", "2026/a b.txt": "alpha"}, unpack(t, store, "photos.tar.zst"))
}

// unpack is what GNU tar --zstd would make of a stored archive: the content of each entry.
func unpack(t *testing.T, store *memorybackend.Backend, name string) map[string]string {
	f, err := store.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := zstd.NewReader(f)
	require.NoError(t, err)
	defer z.Close()
	content := make(map[string]string)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return content
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		content[h.Name] = string(data)
	}
}

func TestAFileThatFailsHalfWayLeavesNothing(t *testing.T) {
	store := memorybackend.New(nil)
	_, err := save(t.Context(), store, "x", brokenFS{fstest.MapFS{"a": {Data: []byte("alpha")}, "b": {Data: []byte("beta")}}})
	require.ErrorIs(t, err, errDisk)
	require.Empty(t, store.Names())
	require.Empty(t, store.Leftovers(""))
}

// brokenFS cannot read its file b to the end.
type brokenFS struct{ fs.FS }

var errDisk = errors.New("the disk is broken")

func (b brokenFS) Open(name string) (fs.File, error) {
	f, err := b.FS.Open(name)
	if name == "b" {
		f = brokenFile{f}
	}
	return f, err
}

type brokenFile struct{ fs.File }

func (f brokenFile) Read(p []byte) (int, error) {
	n, _ := f.File.Read(p[:1])
	return n, errDisk
}

func TestAFileThatShrinksLeavesNothing(t *testing.T) {
	store := memorybackend.New(nil)
	_, err := save(t.Context(), store, "x", shrinkingFS{fstest.MapFS{"b": {Data: []byte("beta")}}})
	require.ErrorContains(t, err, "missed writing 3 bytes")
	require.Empty(t, store.Names())
}

// shrinkingFS has a file b that is shorter when it is read than it was when it was listed.
type shrinkingFS struct{ fs.FS }

func (s shrinkingFS) Open(name string) (fs.File, error) {
	if name == "b" {
		return fstest.MapFS{"b": {Data: []byte("b")}}.Open("b")
	}
	return s.FS.Open(name)
}

func TestAFailureIsToldAndFinishesNothing(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a"), []byte("alpha"), 0o600))
	for text, tc := range map[string]struct {
		args []string
		exit int
	}{
		"usage: tardir FOLDER": {nil, 2},
		"no such file":         {[]string{filepath.Join(folder, "missing")}, 1},
		"injected failure":     {[]string{folder}, 1},
	} {
		store := memorybackend.New(nil)
		var stderr bytes.Buffer
		require.Equal(t, tc.exit, run(t.Context(), faults.New(store, faults.Fail(nil)), tc.args, &stderr), text)
		require.Contains(t, stderr.String(), text)
		require.Empty(t, store.Names())
	}
}
