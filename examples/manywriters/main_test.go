package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// makeFiles makes files of rising sizes, the last two of them of several parts,
// and returns their paths.
func makeFiles(t *testing.T, n int) (paths []string, contents map[string]string) {
	folder := t.TempDir()
	contents = make(map[string]string)
	for i := range n {
		path := filepath.Join(folder, fmt.Sprintf("f%03d", i))
		contents[path] = strings.Repeat(fmt.Sprint(i, ","), i)
		if i >= n-2 {
			contents[path] = strings.Repeat(fmt.Sprint(i, ","), 3<<20)
		}
		require.NoError(t, os.WriteFile(path, []byte(contents[path]), 0o600))
		paths = append(paths, path)
	}
	return paths, contents
}

func TestAllFilesAreStored(t *testing.T) {
	paths, contents := makeFiles(t, atOnce+50)
	store := memorybackend.New(nil)
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), store, paths, &stdout, &stderr), &stderr)
	require.Empty(t, stderr.String())
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	for i, path := range paths {
		require.Regexp(t, fmt.Sprintf(`^mem-\d+\t%d\t%s$`, len(contents[path]), path), lines[i])
		f, err := store.Open(path)
		require.NoError(t, err)
		var data bytes.Buffer
		_, err = data.ReadFrom(f)
		require.NoError(t, err)
		require.True(t, data.String() == contents[path], path)
	}
}

// Every upload under way holds a page at least, so that there are no more of
// them than pages in the Pool, which are fewer than files at once.
func TestAllStreamsShareOnePool(t *testing.T) {
	const pages = memory / sluice.DefaultPageSize
	require.Less(t, pages, atOnce)
	paths, _ := makeFiles(t, atOnce)
	synctest.Test(t, func(t *testing.T) {
		// virtual: each waits for all that can come
		slow := faults.New(memorybackend.New(nil), faults.Delay(time.Second))
		var stdout, stderr bytes.Buffer
		require.Zero(t, run(t.Context(), slow, paths, &stdout, &stderr), &stderr)
		most := 0
		for _, c := range slow.Calls(faults.UploadFile) {
			overlapping := 0
			for _, other := range slow.Calls(faults.UploadFile) {
				if other.Began <= c.Began && c.Began < other.Ended {
					overlapping++
				}
			}
			most = max(most, overlapping)
		}
		require.Greater(t, most, 1)
		require.LessOrEqual(t, most, pages)
	})
}

func TestAStreamThatFailsEndsAlone(t *testing.T) {
	paths, _ := makeFiles(t, 20)
	store := memorybackend.New(nil)
	broken := faults.New(store, faults.Fail(nil, faults.OnName(paths[7])))
	missing := filepath.Join(t.TempDir(), "missing")
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), broken, append(paths, missing), &stdout, &stderr))
	require.Contains(t, stderr.String(), "not stored: sluice: upload "+fmt.Sprintf("%q", paths[7]))
	require.Contains(t, stderr.String(), "not stored: open "+missing)
	require.Len(t, store.Names(), 19)
	require.NotContains(t, store.Names(), paths[7])
	require.Equal(t, 19, strings.Count(stdout.String(), "\n"))
	_, err := fs.Stat(store.FS(), paths[7])
	require.Error(t, err)
}

func TestMistakesAreTold(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, 2, run(t.Context(), memorybackend.New(nil), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "usage: manywriters FILE...")
}
