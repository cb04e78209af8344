//go:build unix

package sluice_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// besides returns the names of the files beside a target that a restore keeps.
func besides(path string) map[string]string {
	dir, base := filepath.Split(path)
	return map[string]string{"data": dir + ".sluice-partial-" + base, "record": dir + ".sluice-progress-" + base}
}

// requireLeftAlone restores to path, where something is planted under the name,
// and checks that it fails, and changes and fetches nothing.
func requireLeftAlone(t *testing.T, s *source, path, name, why string) {
	t.Helper()
	victim := filepath.Join(filepath.Dir(path), "victim")
	before, err := os.Lstat(name)
	require.NoError(t, err)
	fetched := breaking(s, 1000)
	err = download(t, s, path)
	require.ErrorContains(t, err, name+" is left alone: it may be another user's: "+why)
	require.ErrorContains(t, err, "remove it")
	require.Zero(t, fetched.Load())
	after, err := os.Lstat(name)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, before.Mode(), after.Mode())
	require.Equal(t, before.Size(), after.Size())
	got, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "untouched", string(got))
}

// interruptedBeside is like interrupted, with a file beside the target to be harmed.
func interruptedBeside(t *testing.T, s *source) (path, victim string) {
	t.Helper()
	path, _ = interrupted(t, s, 7)
	victim = filepath.Join(filepath.Dir(path), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	return path, victim
}

func TestDownloadFile_LeavesPlantedFilesAlone(t *testing.T) {
	s := stored(t, testutil.Content(20*part), memorybackend.Options{})
	for what, plant := range testutil.Irregular {
		for _, of := range []string{"data", "record"} {
			t.Run(what+" for the "+of, func(t *testing.T) {
				path, victim := interruptedBeside(t, s)
				name := besides(path)[of]
				require.NoError(t, os.Remove(name))
				require.NoError(t, plant(name, victim))
				requireLeftAlone(t, s, path, name, "it is "+what+", not a regular file")
			})
		}
	}
	for _, of := range []string{"data", "record"} {
		t.Run("a link that leads nowhere for the "+of, func(t *testing.T) {
			path, _ := interruptedBeside(t, s)
			name := besides(path)[of]
			require.NoError(t, os.Remove(name))
			require.NoError(t, os.Symlink("nothing", name))
			requireLeftAlone(t, s, path, name, "it is a symbolic link, not a regular file")
			require.NoFileExists(t, filepath.Join(filepath.Dir(path), "nothing"))
		})
		t.Run("a second name of another file for the "+of, func(t *testing.T) {
			path, victim := interruptedBeside(t, s)
			name := besides(path)[of]
			require.NoError(t, os.Remove(name))
			require.NoError(t, os.Link(victim, name))
			requireLeftAlone(t, s, path, name, "it has 2 names")
		})
		for _, mode := range []os.FileMode{0o666, 0o620, 0o602} {
			path, _ := interruptedBeside(t, s)
			name := besides(path)[of]
			require.NoError(t, os.Chmod(name, mode))
			requireLeftAlone(t, s, path, name, "others may write to it")
		}
	}
}

// Only root can plant what is another's.
func TestDownloadFile_LeavesFilesOfAnotherUserAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can make a file another user's; see TestForeign_TellsWhoseAFileIs")
	}
	data := testutil.Content(20 * part)
	s := stored(t, data, memorybackend.Options{})
	for _, of := range []string{"data", "record"} {
		path, _ := interruptedBeside(t, s)
		name := besides(path)[of]
		require.NoError(t, os.Chown(name, 65534, 65534))
		requireLeftAlone(t, s, path, name, "it belongs to the user 65534, not to 0")
	}
	path := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(path, 0o666))
	require.NoError(t, os.Chown(path, 65534, 65534))
	require.NoError(t, download(t, s, path))
	requireFile(t, path, data)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "the other user's permissions are not taken over")
}

func TestDownloadFile_ReplacesOnlyRegularFiles(t *testing.T) {
	s := stored(t, testutil.Content(20*part), memorybackend.Options{})
	for what, plant := range testutil.Irregular {
		for _, late := range []bool{false, true} {
			dir := t.TempDir()
			path, victim := filepath.Join(dir, "target"), filepath.Join(dir, "victim")
			require.NoError(t, os.WriteFile(victim, []byte("untouched"), 0o600))
			planted := false
			s.readRange = func(_ context.Context, _ sluice.StoredFile, _ *sluice.Range, real func() error) error {
				if !planted {
					planted = true
					if err := plant(path, victim); err != nil {
						return err
					}
				}
				return real()
			}
			if !late {
				planted = true
				require.NoError(t, plant(path, victim))
			}
			o := smallRead()
			o.Concurrency = 1
			_, err := sluice.DownloadFile(t.Context(), s, "f", path, o)
			require.ErrorContains(t, err, path+": there is "+what+" of that name, and only a regular file is replaced")
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.False(t, info.Mode().IsRegular())
			got, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "untouched", string(got))
		}
	}
}

func TestDownloadFile_ReadsNoRecordWithoutEnd(t *testing.T) {
	s := stored(t, testutil.Content(20*part), memorybackend.Options{})
	path, _ := interrupted(t, s, 7)
	record := besides(path)["record"]
	text, err := os.ReadFile(record)
	require.NoError(t, err)
	head, line, _ := strings.Cut(string(text), "\n")
	line, _, _ = strings.Cut(line, "\n")
	// the line again and again; blanks make few of many bytes
	line = strings.Repeat(" ", 60<<10) + line + "\n"
	require.NoError(t, os.WriteFile(record, []byte(head+"\n"+strings.Repeat(line, 257<<20/len(line))), 0o600))
	err = download(t, s, path)
	require.ErrorContains(t, err, "the record "+record+" has more than 268435456 bytes; remove it")

	require.NoError(t, os.WriteFile(record, []byte(head+"\n"), 0o600))
	require.NoError(t, os.Truncate(record, 1<<40), "zeros without a line feed")
	require.NoError(t, download(t, s, path))
}
