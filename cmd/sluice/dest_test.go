package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// entries are the names in a folder, hidden ones too.
func entries(t *testing.T, dir string) []string {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// realTrial has the stores of the program itself.
func realTrial(t *testing.T) *trial {
	tr := newTrial(t)
	tr.sys.schemes = destinations()
	return tr
}

func schemeOf(t *testing.T, name string) scheme {
	s, _, err := findScheme(destinations(), name+"://")
	require.NoError(t, err)
	return s
}

func TestAFileIsWrittenWholeAndReplaced(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{5_000_000, 10, 0} {
		tr := realTrial(t)
		data := noise(n)
		tr.stdin(data)
		require.Equal(t, exitDone, tr.run(args("file://"+dir+"/x.tar")...), tr.stderr())
		got, err := os.ReadFile(filepath.Join(dir, "x.tar"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "%d bytes", n)
		require.Equal(t, []string{"x.tar"}, entries(t, dir))
		require.Equal(t, "x.tar", tr.object()["name"])
	}
}

func TestAFileWithoutARootIsInTheWorkingFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("sub", 0o700))
	for _, path := range []string{"x", "sub/y"} {
		tr := realTrial(t)
		tr.stdin([]byte("data"))
		require.Equal(t, exitDone, tr.run(args("file://"+path)...), tr.stderr())
		require.FileExists(t, filepath.Join(dir, path))
	}
}

func TestACommandThatFailsLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), []byte("old"), 0o600))
	tr := realTrial(t)
	require.Equal(t, exitCommand, tr.run(args("file://"+dir+"/x", "--", "sh", "-c", "head -c 5000000 /dev/zero; exit 7")...))
	got, err := os.ReadFile(filepath.Join(dir, "x"))
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	require.Equal(t, []string{"x"}, entries(t, dir))
}

func TestAFileNeedsItsFolderAndAName(t *testing.T) {
	dir := t.TempDir()
	tr := realTrial(t)
	require.Equal(t, exitFailed, tr.run(args("file://"+dir+"/missing/x")...))
	require.Contains(t, tr.stderr(), dir+"/missing")
	for _, path := range []string{"", dir + "/", ".."} {
		tr := realTrial(t)
		require.Equal(t, exitUsage, tr.run(args("file://"+path)...), path)
	}
	require.Empty(t, entries(t, dir))
}
