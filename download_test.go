package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// names returns what is in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// download restores "f" of s to a file.
func download(t *testing.T, s sluice.Source, path string) error {
	t.Helper()
	o := smallRead()
	o.Concurrency = 2
	_, err := sluice.DownloadFile(t.Context(), s, "f", path, o)
	return err
}

func requireFile(t *testing.T, path string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.Equal(t, []string{filepath.Base(path)}, names(t, filepath.Dir(path)), "nothing else is left")
}

func TestDownloadFile_WritesEveryLength(t *testing.T) {
	for _, n := range []int{0, 1, page, part - 1, part, part + 1, 20*part + 3} {
		data := testutil.Content(n)
		for kind, s := range map[string]*source{
			"parts": stored(t, data, memorybackend.Options{}),
			"plain": storedPlain(t, data, memorybackend.Options{}),
		} {
			t.Run(fmt.Sprint(kind, n), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "target")
				require.NoError(t, download(t, s, path))
				requireFile(t, path, data)
			})
		}
	}
}

func TestDownloadFile_KeepsThePermissionsOfWhatItReplaces(t *testing.T) {
	data := testutil.Content(3 * part)
	s := stored(t, data, memorybackend.Options{})
	path := filepath.Join(t.TempDir(), "target")
	require.NoError(t, download(t, s, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, download(t, s, path))
	requireFile(t, path, data)
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
}

var errNoMore = errors.New("the connection is gone")

// breaking makes s fail at every range from the n-th call on, and counts the
// bytes of those that came whole before: a failure ends the fetches beside it.
func breaking(s *source, n int32) (fetched *atomic.Int64) {
	var calls atomic.Int32
	fetched = new(atomic.Int64)
	s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
		if calls.Add(1) > n {
			return errNoMore
		}
		err := real()
		if err == nil {
			fetched.Add(r.Size)
		}
		return err
	}
	return fetched
}

// interrupted returns a store, and a path with the partial file of a restore of
// it that failed after n ranges.
func interrupted(t *testing.T, s *source, n int32) (path string, fetched int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	had := breaking(s, n)
	require.ErrorIs(t, download(t, s, path), errNoMore)
	s.readRange = nil
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(got), "the target is not touched")
	return path, had.Load()
}

func TestDownloadFile_ResumesAFailedRestore(t *testing.T) {
	data := testutil.Content(20 * part)
	for _, n := range []int32{0, 1, 7, 19} {
		for kind, s := range map[string]*source{
			"parts": stored(t, data, memorybackend.Options{}),
			"plain": storedPlain(t, data, memorybackend.Options{}),
		} {
			t.Run(fmt.Sprint(kind, n), func(t *testing.T) {
				path, had := interrupted(t, s, n)
				again := breaking(s, 1000)
				require.NoError(t, download(t, s, path))
				requireFile(t, path, data)
				require.EqualValues(t, len(data), had+again.Load(), "nothing is fetched twice")
			})
		}
	}
}

func TestDownloadFile_StartsAnewWhereTheStoredFileWasReplaced(t *testing.T) {
	s := stored(t, testutil.Content(20*part), memorybackend.Options{})
	path, _ := interrupted(t, s, 7)
	data := bytes.Repeat([]byte("new"), 7*part)
	upload(t, s.Backend, data)
	fetched := breaking(s, 1000)
	require.NoError(t, download(t, s, path))
	requireFile(t, path, data)
	require.EqualValues(t, len(data), fetched.Load())
}

// rewrite changes a file next to the target.
func rewrite(t *testing.T, path, kind string, change func([]byte) []byte) {
	t.Helper()
	name := filepath.Join(filepath.Dir(path), ".sluice-"+kind+"-"+filepath.Base(path))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, change(text), 0o600))
}

func TestDownloadFile_FetchesAgainWhatWasDamagedOnTheDisk(t *testing.T) {
	data := testutil.Content(20 * part)
	s := stored(t, data, memorybackend.Options{})
	path, had := interrupted(t, s, 7)
	rewrite(t, path, "partial", func(b []byte) []byte { b[0] ^= 1; return b })
	fetched := breaking(s, 1000)
	require.NoError(t, download(t, s, path))
	requireFile(t, path, data)
	require.EqualValues(t, int64(len(data))-had+part, fetched.Load(), "one range came again")
}

func TestDownloadFile_StartsAnewAfterDamageThatOnlyTheWholeDigestShows(t *testing.T) {
	data := testutil.Content(20 * part)
	s := storedPlain(t, data, memorybackend.Options{})
	f, err := s.Stat(t.Context(), "f")
	require.NoError(t, err)
	f.Digests = sluice.Digests{{Name: "sha256", Sum: sum256(data)}}
	f.Algorithms = []sluice.Algorithm{memorybackend.SHA256()}
	o := smallRead()
	o.Version = &f
	path, _ := interrupted(t, s, 7)
	rewrite(t, path, "partial", func(b []byte) []byte { b[0] ^= 1; return b })
	_, err = sluice.DownloadFile(t.Context(), s, "f", path, o)
	require.ErrorIs(t, err, sluice.ErrDamaged)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	_, err = sluice.DownloadFile(t.Context(), s, "f", path, o)
	require.NoError(t, err)
	requireFile(t, path, data)
}

// A crash may leave any prefix of the record, and a partial file that is shorter
// than it was.
func TestDownloadFile_ResumesWithARecordThatIsCutAnywhere(t *testing.T) {
	data := testutil.Content(10 * part)
	s := storedPlain(t, data, memorybackend.Options{})
	for cut := 0; cut < 200; cut += 7 {
		path, _ := interrupted(t, s, 5)
		rewrite(t, path, "progress", func(b []byte) []byte { return b[:min(len(b), cut)] })
		require.NoError(t, download(t, s, path))
		requireFile(t, path, data)
	}
	for cut := 0; cut < 5*part; cut += 9 {
		path, _ := interrupted(t, s, 5)
		rewrite(t, path, "partial", func(b []byte) []byte { return b[:min(len(b), cut)] })
		require.NoError(t, download(t, s, path))
		requireFile(t, path, data)
	}
}

func TestDownloadFile_ExcludesASecondRestoreToTheSamePath(t *testing.T) {
	data := testutil.Content(20 * part)
	s := stored(t, data, memorybackend.Options{})
	path := filepath.Join(t.TempDir(), "target")
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.readRange = func(_ context.Context, _ sluice.StoredFile, _ *sluice.Range, real func() error) error {
		once.Do(func() { close(begun) })
		<-release
		return real()
	}
	var group sync.WaitGroup
	var first error
	group.Go(func() { first = download(t, s, path) })
	<-begun
	second := download(t, s, path)
	close(release)
	group.Wait()
	require.ErrorContains(t, second, "another restore is writing to "+path)
	require.NoError(t, first)
	requireFile(t, path, data)
}

// Many restores to one path end one after the other, or fail; the target is
// whole at every moment.
func TestDownloadFile_RestoresThatMeetAtOnePathDoNotMix(t *testing.T) {
	data := testutil.Content(20 * part)
	s := storedPlain(t, data, memorybackend.Options{})
	path := filepath.Join(t.TempDir(), "target")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for done := 0; done < 5; {
				err := download(t, s, path)
				if err == nil {
					done++
					got, err := os.ReadFile(path)
					if err != nil || !bytes.Equal(data, got) {
						t.Errorf("target is not whole: %v", err)
					}
				} else if !strings.Contains(err.Error(), "another restore is writing") {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	requireFile(t, path, data)
}

func TestDownloadFile_RejectsAPathThatIsNoFile(t *testing.T) {
	s := stored(t, testutil.Content(part), memorybackend.Options{})
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.ErrorContains(t, download(t, s, filepath.Join(dir, "folder")), "folder: there is a folder of that name, and only a regular file is replaced")
	require.ErrorContains(t, download(t, s, dir+string(filepath.Separator)), "is not the path of a file")
	require.ErrorIs(t, download(t, s, filepath.Join(dir, "none", "target")), os.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".sluice-partial-target"), 0o700))
	require.ErrorContains(t, download(t, s, filepath.Join(dir, "target")), ".sluice-partial-target is left alone: it may be another user's: it is a folder, not a regular file; remove it")
}
