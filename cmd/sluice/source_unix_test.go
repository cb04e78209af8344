//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
)

// changing is a trial whose standard input is a file of 20 MiB. While its first part is uploaded,
// which is before the end is read since memory does not hold so much, the file changes.
func changing(t *testing.T, change func(f *os.File) error) (*trial, []byte) {
	data := noise(20 << 20)
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	var once sync.Once
	tr := newTrial(t, faults.Do(func(context.Context, faults.Op) (err error) {
		once.Do(func() { err = change(f) })
		return err
	}, faults.OnKind(faults.UploadPart)))
	in, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { in.Close() })
	tr.sys.stdin = in
	return tr, data
}

func TestStdin_AFileThatGrowsIsStoredToItsEnd(t *testing.T) {
	tail := noise(1000)
	tr, data := changing(t, func(f *os.File) error {
		_, err := f.WriteAt(tail, 20<<20)
		return err
	})
	require.Equal(t, exitDone, tr.run(args("mem://x")...), tr.stderr())
	require.True(t, bytes.Equal(slices.Concat(data, tail), tr.stored("x")))
	require.NotContains(t, tr.stderr(), "declared")
}

func TestStdin_AFileThatShrinksFinishesNothing(t *testing.T) {
	shrink := func(f *os.File) error { return f.Truncate(15 << 20) }
	for _, flags := range []string{"", "-z=1", "--size 20MiB", "--encrypt-to " + newKey(t).recipient} {
		tr, _ := changing(t, shrink)
		if flags == "-z=1" { // the compressor reads ahead of the first part
			open := tr.sys.schemes[0].open
			tr.sys.schemes[0].open = func(ctx context.Context, rest string, o opening) (*destination, error) {
				require.NoError(t, os.Truncate(tr.sys.stdin.Name(), 15<<20))
				return open(ctx, rest, o)
			}
		}
		require.Equal(t, exitFailed, tr.run(args(append(strings.Fields(flags), "mem://x")...)...), flags)
		if !strings.HasPrefix(flags, "--size") {
			require.Contains(t, tr.stderr(), "standard input shrank from 20971520 to 15728640 bytes while it was read", flags)
		}
		tr.requireNothing()
	}
}

func TestStdin_AFileThatEndsBeforeItsSizeFinishesNothing(t *testing.T) {
	tr, _ := changing(t, func(*os.File) error { return nil })
	c := &config{session: &session{sys: tr.sys}}
	s := newSource(c)
	s.reader = io.LimitReader(tr.sys.stdin, 5)
	data, err := io.ReadAll(s)
	require.Len(t, data, 5)
	require.ErrorIs(t, err, errCut)
	require.ErrorContains(t, err, "standard input ended after 5 of 20971520 bytes")
}

// The service must know the size of a file first, and so must a stream that is longer than its
// memory carries in parts that grow.
func TestStdin_AFileIsDeclaredWhereItMustBe(t *testing.T) {
	tr, _ := bvTrial(t)
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, noise(6_000_000), 0o600))
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer in.Close()
	tr.sys.stdin = in
	require.Equal(t, exitDone, tr.run("bv://talk.mp4"), tr.stderr())
	require.Contains(t, tr.stderr(), "takes the declared 6 MB")

	_, err = in.Seek(0, io.SeekStart)
	require.NoError(t, err)
	i := slices.IndexFunc(tr.sys.schemes, func(s scheme) bool { return s.name == "bv" })
	tr.sys.schemes[i].open = func(ctx context.Context, rest string, o opening) (*destination, error) {
		_, err := in.WriteAt([]byte("more"), 6_000_000) // after its size was taken
		require.NoError(t, err)
		return openBV(ctx, rest, o)
	}
	require.Equal(t, exitFailed, tr.again().run("bv://talk.mp4"))
	require.Contains(t, tr.stderr(), "--spool DIR stores a copy")

	huge := newTrial(t)
	path = filepath.Join(t.TempDir(), "sparse")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 7<<40))
	big, err := os.Open(path)
	require.NoError(t, err)
	defer big.Close()
	huge.sys.stdin = big
	require.Equal(t, exitUsage, huge.run("mem://x"), "before a byte is read")
	require.Contains(t, huge.stderr(), "--size 7.6 TB")
}
