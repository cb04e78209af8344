package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// bvTrial is a trial with a local server, whose token must show up nowhere.
func bvTrial(t *testing.T) (*trial, *bvtest.Server) {
	s := bvtest.NewServer(nil)
	t.Cleanup(s.Close)
	t.Setenv("BV_API_TOKEN", s.Token())
	t.Setenv("BV_ORG_ID", s.OrgID())
	t.Setenv("BV_ENDPOINT", s.URL())
	tr := realTrial(t)
	t.Cleanup(func() { require.NotContains(t, tr.stderr(), s.Token()) })
	return tr, s
}

func TestALibraryFileIsSpooledForItsSize(t *testing.T) {
	tr, s := bvTrial(t)
	data, dir := noise(6_000_000), t.TempDir()
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run("--json", "--spool", dir, "--bv-type", "FILE_TYPE_AUDIO", "--info", "k=v", "bv://talk.mp4"), tr.stderr())
	sessions := s.Sessions()
	require.Len(t, sessions, 1)
	require.Equal(t, "FILE_TYPE_AUDIO", sessions[0].Type)
	require.Equal(t, map[string]string{"k": "v"}, sessions[0].Attrs)
	got, ok := s.Content(sessions[0].FileID)
	require.True(t, ok)
	require.True(t, bytes.Equal(data, got))
	require.EqualValues(t, len(data), tr.object()["size"])
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, s.Check())
}

// A system that removes no open file is one that lets the spool have its name.
func TestASpoolThatHasANameIsRemovedWhenItIsClosed(t *testing.T) {
	dir := t.TempDir()
	f, err := os.CreateTemp(dir, "")
	require.NoError(t, err)
	require.NoError(t, (&spooled{File: f, named: true}).Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestALibraryFileOfUnknownSizeIsRefusedBeforeAnythingIsSent(t *testing.T) {
	tr, s := bvTrial(t)
	tr.stdin(noise(100))
	require.Equal(t, exitUsage, tr.run("bv://talk.mp4"))
	require.Contains(t, tr.stderr(), "the size must be known")
	require.Empty(t, s.Sessions())
}

func TestAFailedSourceIsNotSpooledOn(t *testing.T) {
	tr, s := bvTrial(t)
	dir := t.TempDir()
	require.Equal(t, exitCommand, tr.run("--spool", dir, "bv://talk.mp4", "--", "sh", "-c", "head -c 100000 /dev/zero; exit 3"), tr.stderr())
	require.Contains(t, tr.stderr(), "before anything was sent")
	require.Empty(t, s.Sessions())
}

func TestALibraryNeedsItsEnvironment(t *testing.T) {
	tr, _ := bvTrial(t)
	t.Setenv("BV_ORG_ID", "")
	require.Equal(t, exitUsage, tr.run("bv://x"))
	require.Contains(t, tr.stderr(), "BV_ORG_ID")
}

func TestALibraryFileIsGotByItsID(t *testing.T) {
	tr, s := bvTrial(t)
	data := noise(6_000_000)
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run("--json", "--spool", t.TempDir(), "bv://talk.mp4"), tr.stderr())
	id := tr.object()["id"].(string)
	require.NoError(t, s.Inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Truncate}))
	require.Equal(t, exitDone, tr.again().run("get", "--json", "--sha256", hexSHA256(data), "bv://"+id), tr.stderr())
	require.True(t, bytes.Equal(data, tr.stdout.Bytes()))
	require.Contains(t, tr.stderr(), "checked by its length and the digest given")
	require.Contains(t, tr.stderr(), `"name":"`+id+`"`)
	require.NoError(t, s.Check())

	require.Equal(t, exitFailed, tr.again().run("get", "bv://talk.mp4"))
	require.Contains(t, tr.stderr(), "file does not exist")
	require.Contains(t, tr.stderr(), "bv:// finds files by their ID")
	for _, command := range []string{"unfinished", "cancel"} {
		require.Equal(t, exitUsage, tr.again().run(command, "bv://x"))
		require.Contains(t, tr.stderr(), "bv:// has no command "+command)
	}
}

func TestAnEmptyLibraryFileIsRefusedForItsSize(t *testing.T) {
	tr, s := bvTrial(t)
	require.Equal(t, exitFailed, tr.run("--spool", t.TempDir(), "bv://talk.mp4"))
	require.Contains(t, tr.stderr(), "size 0: the service takes no file of fewer than 1 byte")
	require.Empty(t, s.Sessions())
}
