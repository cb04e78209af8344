//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/testutil"
)

// ownedBy is what a file's owner and mode would be if the test were another user.
type ownedBy struct {
	os.FileInfo
	uid  uint32
	mode os.FileMode
}

func (o ownedBy) Sys() any          { return &syscall.Stat_t{Uid: o.uid} }
func (o ownedBy) Mode() os.FileMode { return o.mode }

// A FIFO of another user gives what that user likes, as a file does. Only root makes devices.
func TestSettings_AreTakenFromNoOtherUser(t *testing.T) {
	own, other := uint32(os.Geteuid()), uint32(os.Geteuid()+1)
	for _, kind := range []os.FileMode{0, os.ModeNamedPipe} {
		require.NoError(t, checkWriters(ownedBy{uid: own, mode: kind | 0o600}))
		require.NoError(t, checkWriters(ownedBy{uid: 0, mode: kind | 0o644}))
		require.ErrorContains(t, checkWriters(ownedBy{uid: other, mode: kind | 0o600}), "it belongs to user")
		require.ErrorContains(t, checkWriters(ownedBy{uid: own, mode: kind | 0o620}), "other users may change it")
	}
	require.NoError(t, checkWriters(ownedBy{uid: 0, mode: os.ModeDevice | os.ModeCharDevice | 0o666}))
}

// Opening a FIFO waits for its other end, so that one of another user is refused before. What
// is read is looked at before it is parsed.
func TestSettings_WaitForNoFIFOThatOthersMayWriteTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	require.NoError(t, os.Chmod(path, 0o622))
	for _, line := range [][]string{{"ls", "mem://"}, {"prune", "--keep-last", "1", "mem://x-{time:2006}"}, {"get", "mem://x"}} {
		tr := newTrial(t)
		tr.sys.schemes = destinations()
		require.Equal(t, exitUsage, tr.run(append(line, "--config", path)...))
		require.Contains(t, tr.stderr(), path+": other users may change it; chmod 600")
	}
	t.Setenv("SLUICE_CONFIG", path)
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("mem://x"))
	require.Contains(t, tr.stderr(), "other users may change it")
}

func TestSettings_AreReadFromNoFolderOrSocket(t *testing.T) {
	for _, what := range []string{"a folder", "a socket"} {
		path := filepath.Join(t.TempDir(), "config.toml")
		require.NoError(t, testutil.Irregular[what](path, ""))
		tr := newTrial(t)
		require.Equal(t, exitUsage, tr.run("--config", path, "mem://x"), what)
		tr.requireNothing()
	}
}

// A name that comes from elsewhere, such as an argument of a script, stays in its destination, as
// keys did not in downloads of other programs (s5cmd 872, aws-cli 10579).
func TestSettings_NamesStayBelowTheirDestination(t *testing.T) {
	folder := t.TempDir()
	inside := filepath.Join(folder, "inside")
	require.NoError(t, os.Mkdir(inside, 0o700))
	path := settingsOf(t, 0o600, "[nas]", `dest = "file://`+inside+`"`)
	for _, rest := range []string{"..", "../x", "a/../../x", "a/..", "/../x", "../inside/x"} {
		for _, line := range [][]string{{"put"}, {"get"}, {"ls"}, {"rm", "--yes"}, {"prune", "--keep-last", "1"}, {"cancel"}, {"unfinished"}} {
			tr := realTrial(t)
			dest := "nas:" + rest
			if line[0] == "prune" {
				dest += "-{time:2006}"
			}
			code := tr.run(append(line, "--config", path, dest)...)
			if line[0] == "prune" && (rest == ".." || rest == "a/..") {
				continue // ..-{time:2006} is a name
			}
			require.Equal(t, exitUsage, code, "%v %s: %s", line, dest, tr.stderr())
			require.Contains(t, tr.stderr(), `must not have the element ".."`)
		}
	}
	require.Equal(t, []string{"inside"}, entries(t, folder))
	tr := realTrial(t)
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run("--config", path, "nas:..x..y"), tr.stderr())
	require.Equal(t, []string{"..x..y"}, entries(t, inside))
}
