package filebackend_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
	"github.com/c1508ce4/sluice/filebackend"
)

func TestTheBackendKeepsTheContract(t *testing.T) {
	for name, o := range map[string]*filebackend.Options{
		"synced":       nil,
		"not synced":   {NoSync: true},
		"no overwrite": {NoOverwrite: true, NoSync: true},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backendtest.Store {
				dir := t.TempDir()
				return backendtest.Store{
					Backend: open(t, dir, o),
					Open:    func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, name)) },

					NoOverwrite: o != nil && o.NoOverwrite,
				}
			})
		})
	}
}

func TestTheFolderMustExist(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not mounted")
	_, err := filebackend.New(dir, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, dir)
	require.NoDirExists(t, dir)
}

func TestNamesThatAreNoPathsInTheFolderAreRefused(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	for _, name := range []string{
		"", ".", "..", "../up", "a/../../up", "a/../b", "/rooted", "a//b", "a/", "./a", "nul\x00", "\xff",
		".sluice-x", "a/.sluice-x/b",
	} {
		err := b.Check(spec(name))
		require.Error(t, err, "%q", name)
		if name != "" {
			require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		}
		_, err = b.StartLargeFile(context.Background(), spec(name))
		require.Error(t, err, "%q", name)
		_, err = b.ResumeLargeFile(context.Background(), spec(name), "")
		require.Error(t, err, "%q", name)
	}
	for _, name := range []string{"a", "a/b", "..a", ".hidden", "é/ü", "with space", "a.sluice-x"} {
		require.NoError(t, b.Check(spec(name)), "%q", name)
	}
	require.ErrorContains(t, b.Check(sluice.FileSpec{Name: "a", Size: -2}), "-2")
}

func TestSymbolicLinksDoNotLeadOut(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "absolute")))
	relative, err := filepath.Rel(dir, outside)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(relative, filepath.Join(dir, "relative")))
	b := open(t, dir, nil)
	for _, name := range []string{"absolute/x", "relative/x", "relative/deeper/x"} {
		require.Error(t, put(b, name, "a", "b"), name)
		require.Error(t, putSingle(b, name, "a"), name)
	}
	require.Empty(t, files(t, outside))
}

func TestFoldersOnTheWayAreMade(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	require.NoError(t, put(b, "a/b/large", "1", "2"))
	require.NoError(t, putSingle(b, "c/d/single", "3"))
	require.Equal(t, []string{"a/b/large", "c/d/single"}, files(t, dir))
}

func TestAFileOfTheNameIsReplaced(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	require.NoError(t, putSingle(b, "x", "a long first version"))
	require.NoError(t, put(b, "x", "sec", "ond"))
	requireContent(t, dir, "x", "second")
	require.NoError(t, putSingle(b, "x", "third"))
	requireContent(t, dir, "x", "third")
	require.Equal(t, []string{"x"}, files(t, dir))
}

func TestNoOverwriteRefusesAFileThatExistsAtTheStart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, &filebackend.Options{NoOverwrite: true})
	require.NoError(t, put(b, "x", "fir", "st"))
	require.ErrorIs(t, put(b, "x", "sec", "ond"), fs.ErrExist)
	require.ErrorIs(t, putSingle(b, "x", "third"), fs.ErrExist)
	requireContent(t, dir, "x", "first")
	require.Equal(t, []string{"x"}, files(t, dir))
}

func TestNoOverwriteRefusesAFileThatCameMeanwhile(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, &filebackend.Options{NoOverwrite: true})
	f := start(t, b, "x")
	receipts := []sluice.Receipt{send(t, f, part(1, 0, "late"))}
	require.NoError(t, putSingle(b, "x", "first"))
	_, err := f.Finish(context.Background(), receipts, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	require.Len(t, unfinished(t, b, ""), 1)
	require.NoError(t, f.Cancel(context.Background()))
	requireContent(t, dir, "x", "first")
	require.Equal(t, []string{"x"}, files(t, dir))
}

func TestWhatFinishWouldFailOfIsSeenAtTheStart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	require.NoError(t, putSingle(b, "folder/file", "x"))
	for name, says := range map[string]string{
		"folder":                        "there is a folder of that name",
		"folder/file/below":             "folder/file",
		strings.Repeat("n", 256):        "too long",
		"f/" + strings.Repeat("n", 256): "too long",
	} {
		if runtime.GOOS == "windows" && says == "too long" {
			says = "" // Windows has words of its own for it
		}
		for _, err := range []error{put(b, name, "a", "b"), putSingle(b, name, "a")} {
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, dir)
			require.ErrorContains(t, err, name)
		}
	}
	require.Equal(t, []string{"folder/file"}, files(t, dir))
}

func TestTheLongestNameWorks(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("n", 255)
	require.NoError(t, put(open(t, dir, nil), name, "a", "b"))
	requireContent(t, dir, name, "ab")
}

func TestUnfinishedFilesAreHiddenAndKnownByTheirNames(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	f := start(t, b, "a/x")
	send(t, f, part(1, 0, "data"))
	id := f.Info().ID
	require.Regexp(t, `^\d{8}T\d{6}\.\d{9}-[a-z0-9]{10}$`, id)
	require.Equal(t, []string{"a/.sluice-" + id, "a/.sluice-" + id + ".record"}, files(t, dir))
	require.NoError(t, f.Cancel(context.Background()))
	require.Empty(t, files(t, dir))
}

func TestUnfinishedLooksIntoTheFoldersOfThePrefix(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	for _, name := range []string{"top", "a/x", "a/xy/z", "ab/x"} {
		start(t, b, name)
	}
	for prefix, want := range map[string][]string{
		"":       {"top", "a/x", "a/xy/z", "ab/x"},
		"a":      {"a/x", "a/xy/z", "ab/x"},
		"a/":     {"a/x", "a/xy/z"},
		"a/xy/":  {"a/xy/z"},
		"b/":     nil,
		"../a":   nil,
		"/":      nil,
		"a/x/y/": nil,
	} {
		var got []string
		for _, u := range unfinished(t, b, prefix) {
			got = append(got, u.Spec.Name)
		}
		require.Equal(t, want, got, "prefix %q", prefix)
	}
}

func TestManyWritersShareAFolder(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	pool, err := sluice.NewPool(512<<10, 4<<10)
	require.NoError(t, err)
	data := noise(200_000)
	var group errgroup.Group
	for i := range 16 {
		name := "same"
		if i%2 == 0 {
			name = fmt.Sprintf("own/%d", i)
		}
		group.Go(func() error {
			o := &sluice.Options{Pool: pool, PartSize: 16 << 10, Concurrency: 3}
			_, err := sluice.Upload(context.Background(), b, name, o, copyTo(strings.NewReader(data[i:])))
			return err
		})
	}
	require.NoError(t, group.Wait())
	for i := 0; i < 16; i += 2 {
		requireContent(t, dir, fmt.Sprintf("own/%d", i), data[i:])
	}
	same, err := os.ReadFile(filepath.Join(dir, "same"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(data, string(same)) && len(data)-len(same) < 16, "one writer's file, whole")
	require.Len(t, files(t, dir), 9, "nothing else is left")
}
