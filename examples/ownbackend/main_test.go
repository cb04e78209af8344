package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
)

// TestFolder checks the store against every rule there is for stores.
func TestFolder(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		store := folder{root: t.TempDir()}
		return backendtest.Store{
			Backend: store,
			Open: func(name string) (io.ReadCloser, error) {
				data, err := cat(store.path(name))
				return io.NopCloser(bytes.NewReader(data)), err
			},
		}
	})
}

// cat is the bytes of a finished file, as the program of that name puts them together.
func cat(dir string) ([]byte, error) {
	parts, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, p := range parts {
		data, err := os.ReadFile(filepath.Join(dir, p.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, nil
}

func TestAStreamIsStoredInParts(t *testing.T) {
	for content, parts := range map[string]int{"": 1, "short": 1, strings.Repeat("0123456789abcdef", 9<<16): 2} {
		dir := t.TempDir()
		var stderr bytes.Buffer
		require.Zero(t, run(t.Context(), []string{dir, "f"}, strings.NewReader(content), &stderr), &stderr)
		require.Equal(t, fmt.Sprintf("ownbackend: f.parts is stored, %d bytes in %d parts\n", len(content), parts), stderr.String())
		data, err := cat(filepath.Join(dir, "f.parts"))
		require.NoError(t, err)
		require.True(t, string(data) == content)
	}
}

func TestNothingIsLeftOfASourceThatFails(t *testing.T) {
	dir := t.TempDir()
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(make([]byte, 20<<20))
		w.CloseWithError(errors.New("the source is broken"))
	}()
	var stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{dir, "f"}, r, &stderr))
	require.Contains(t, stderr.String(), "the source is broken")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestANameIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{dir, "f"}, strings.NewReader("first"), &stderr))
	require.Equal(t, 1, run(t.Context(), []string{dir, "f"}, strings.NewReader("second"), &stderr))
	require.Contains(t, stderr.String(), `"f" is there already`)
	data, err := cat(folder{root: dir}.path("f"))
	require.NoError(t, err)
	require.Equal(t, "first", string(data))
}

func TestOfTwoStreamsOfOneNameTheSecondToFinishFails(t *testing.T) {
	store := folder{root: t.TempDir()}
	var streams [2]*sluice.LargeFileWriter
	for i := range streams {
		var err error
		streams[i], err = sluice.New(t.Context(), store, "f", nil)
		require.NoError(t, err)
		_, err = streams[i].Write(make([]byte, 9<<20)) // so that both are begun
		require.NoError(t, err)
	}
	require.NoError(t, streams[0].Close())
	require.Error(t, streams[1].Close())
	left, err := os.ReadDir(store.root)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestAPartThatIsNotAsItsReceiptSaysIsNotFinished(t *testing.T) {
	store := folder{root: t.TempDir()}
	large, err := store.StartLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize})
	require.NoError(t, err)
	receipt, err := large.UploadPart(t.Context(), sluice.NewPart(1, []byte("alpha"), nil))
	require.NoError(t, err)
	receipt.Size++
	_, err = large.Finish(t.Context(), []sluice.Receipt{receipt}, nil)
	require.ErrorContains(t, err, `part 1 of "f" is not what its receipt says`)
	require.NoDirExists(t, store.path("f"))
}

func TestMistakesAreTold(t *testing.T) {
	for text, tc := range map[string]struct {
		args []string
		exit int
	}{
		"usage: ownbackend FOLDER|URL NAME": {nil, 2},
		"takes 7 to 255":                    {[]string{t.TempDir(), strings.Repeat("x", 250)}, 1},
		"no such file":                      {[]string{filepath.Join(t.TempDir(), "missing"), "f"}, 1},
	} {
		var stderr bytes.Buffer
		require.Equal(t, tc.exit, run(t.Context(), tc.args, strings.NewReader("x"), &stderr), text)
		require.Contains(t, stderr.String(), text)
	}
	_, err := cat("missing")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
