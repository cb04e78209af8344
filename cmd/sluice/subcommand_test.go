package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/memorybackend"
)

// again makes the next run's output its own.
func (tr *trial) again() *trial {
	tr.stdout.Reset()
	require.NoError(tr.t, tr.sys.stderr.Truncate(0))
	_, err := tr.sys.stderr.Seek(0, io.SeekStart)
	require.NoError(tr.t, err)
	return tr
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hexSHA1(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// stores uploads data in parts of 1 MiB, or in one call if it fits.
func (tr *trial) stores(data []byte, args ...string) {
	tr.t.Helper()
	tr.stdin(data)
	require.Equal(tr.t, exitDone, tr.run(append([]string{"--part-size", "1MiB"}, args...)...), tr.stderr())
	tr.again()
}

func TestGetWritesTheFileAndSaysHowItWasChecked(t *testing.T) {
	tr, _ := newB2Trial(t, nil)
	small, large := noise(10), noise(2_400_000)
	tr.stores(small, "b2://test-bucket/small")
	tr.stores(large, "b2://test-bucket/large")
	tr.stores(large, "--large-file-sha1", hexSHA1(large), "b2://test-bucket/told")
	for _, c := range []struct {
		args    string
		data    []byte
		checked string
	}{
		{"b2://test-bucket/small", small, "checked by its length and the sha1 kept with it"},
		{"b2://test-bucket/large", large, "checked by its length"},
		{"b2://test-bucket/told", large, "checked by its length and the sha1 kept with it"},
		{"--sha256 " + hexSHA256(large) + " b2://test-bucket/large", large, "checked by its length and the digest given"},
		{"b2://test-bucket/large --sha1 " + hexSHA1(large), large, "checked by its length and the digest given"},
	} {
		require.Equal(t, exitDone, tr.run(append([]string{"get"}, strings.Fields(c.args)...)...), tr.stderr())
		require.True(t, bytes.Equal(c.data, tr.stdout.Bytes()))
		require.Contains(t, tr.stderr(), c.checked+", id 4_")
		require.Contains(t, tr.stderr(), "sha256 "+hexSHA256(c.data))
		tr.again()
	}
}

func TestGetReportsInJSONOnStandardError(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	data := noise(100)
	tr.stores(data, "b2://test-bucket/x")
	require.Equal(t, exitDone, tr.run("get", "-q", "--json", "b2://test-bucket/x"))
	require.Equal(t, data, tr.stdout.Bytes())
	var o received
	require.NoError(t, json.Unmarshal([]byte(tr.stderr()), &o), tr.stderr())
	require.Positive(t, o.Seconds)
	o.Seconds = 0
	f, err := s.File("test-bucket", "x")
	require.NoError(t, err)
	require.Equal(t, received{
		Destination: "b2://test-bucket/x", ID: f.ID, Name: "x", Size: 100, ReceivedBytes: 100,
		SHA256: hexSHA256(data), SHA1: hexSHA1(data), Checked: "checked by its length and the sha1 kept with it",
	}, o)
}

func TestGetFailsOnOtherBytesThanExpected(t *testing.T) {
	tr, _ := newB2Trial(t, nil)
	data := noise(2_400_000)
	tr.stores(data, "b2://test-bucket/x")
	tr.stores(data, "--large-file-sha1", hexSHA1(nil), "b2://test-bucket/wrong")
	for args, says := range map[string]string{
		"--sha256 " + hexSHA256(nil) + " b2://test-bucket/x": "have the sha256 " + hexSHA256(data) + ", those stored have " + hexSHA256(nil),
		"--sha1 " + hexSHA1(nil) + " b2://test-bucket/x":     "have the sha1 " + hexSHA1(data) + ", those stored have " + hexSHA1(nil),
		"b2://test-bucket/wrong":                             "have the sha1 " + hexSHA1(data) + ", those stored have " + hexSHA1(nil),
		"b2://test-bucket/nothing":                           "file does not exist",
	} {
		require.Equal(t, exitFailed, tr.run(append([]string{"get", "--json"}, strings.Fields(args)...)...))
		require.Contains(t, tr.stderr(), says)
		require.Contains(t, tr.stderr(), `"exit":1,"error":`)
		tr.again()
	}
}

func TestGetGoesOnAfterABrokenConnection(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	data := noise(2_400_000)
	tr.stores(data, "b2://test-bucket/x")
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Truncate}))
	require.Equal(t, exitDone, tr.run("get", "b2://test-bucket/x"), tr.stderr())
	require.True(t, bytes.Equal(data, tr.stdout.Bytes()))
}

func TestADamagedLeftoverKeepsNoOtherFromBeingListedAndCancelled(t *testing.T) {
	dir := t.TempDir()
	b, err := filebackend.New(dir, nil)
	require.NoError(t, err)
	defer b.Close()
	var ids []string
	for _, name := range []string{"a", "b"} {
		f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: name, Size: sluice.UnknownSize})
		require.NoError(t, err)
		ids = append(ids, f.Info().ID)
	}
	damaged := ".sluice-" + ids[0] + ".record"
	require.NoError(t, os.WriteFile(filepath.Join(dir, damaged), []byte("what is this\n"), 0o600))
	for _, args := range [][]string{
		{"unfinished", "file://" + dir + "/"}, {"cancel", "--prefix", "--older", "0s", "file://" + dir + "/"},
	} {
		tr := realTrial(t)
		require.Equal(t, exitFailed, tr.run(args...))
		require.Contains(t, tr.stderr(), damaged+": line 1 of the record is damaged")
		require.Equal(t, ids[1:], tr.listed())
	}
	for u, err := range b.Unfinished(t.Context(), "") {
		require.Error(t, err, "%s is left", u.ID)
	}
}

// failingWriter is a disk that is full.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestGetFailsIfItsOutputDoes(t *testing.T) {
	tr, _ := newB2Trial(t, nil)
	tr.stores(noise(100), "b2://test-bucket/x")
	tr.sys.stdout = failingWriter{}
	require.Equal(t, exitFailed, tr.run("get", "b2://test-bucket/x"))
	require.Contains(t, tr.stderr(), syscall.ENOSPC.Error())
}

func TestASignalEndsGet(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	tr.stores(noise(100), "b2://test-bucket/x")
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_download_file_by_name", Kind: b2test.Wait, Hold: hold}))
	tr.signals <- syscall.SIGTERM
	require.Equal(t, exitFailed, tr.run("get", "b2://test-bucket/x"))
	require.Contains(t, tr.stderr(), "signal: terminated")
	require.Empty(t, tr.stdout.String())
}

// leave makes unfinished large files of the names, each an hour older than the next, and
// returns their ids.
func (tr *trial) leave(s *b2test.Server, names ...string) (ids []string) {
	tr.t.Helper()
	s.ExpectUnfinished(names...)
	for _, name := range names {
		require.NoError(tr.t, s.Inject(b2test.Fault{Call: "b2_upload_part", Part: 3, Status: 400}))
		tr.stdin(noise(2_400_000))
		require.Equal(tr.t, exitFailed, tr.run("--json", "--concurrency", "1", "--part-size", "1MiB", "--keep-on-error", "b2://test-bucket/"+name), tr.stderr())
		ids = append(ids, tr.object()["large_file"].(string))
		tr.again()
		s.Advance(time.Hour)
	}
	return ids
}

// listed are the ids of the lines on standard output.
func (tr *trial) listed() (ids []string) {
	for line := range strings.Lines(tr.stdout.String()) {
		ids = append(ids, strings.Fields(line)[0])
	}
	return ids
}

// serverInThePast is a server whose clock is behind: by this machine's, all large files are old.
func serverInThePast() *b2test.Options {
	return &b2test.Options{MinPartSize: 1 << 20, Now: func() time.Time { return time.Now().Add(-10 * time.Hour) }}
}

func TestUnfinishedListsByPrefixAndAge(t *testing.T) {
	tr, s := newB2Trial(t, serverInThePast())
	ids := tr.leave(s, "a/1", "a/2", "b")
	for args, want := range map[string][]string{
		"b2://test-bucket/":               ids,
		"b2://test-bucket":                ids,
		"b2://test-bucket/a/":             ids[:2],
		"b2://test-bucket/c":              nil,
		"--older 2h30m b2://test-bucket/": ids[:1],
	} {
		require.Equal(t, exitDone, tr.run(append([]string{"unfinished"}, strings.Fields(args)...)...), tr.stderr())
		require.ElementsMatch(t, want, tr.listed(), args)
		require.Empty(t, tr.stderr())
		tr.again()
	}
	require.Equal(t, exitDone, tr.run("unfinished", "--json", "b2://test-bucket/b"))
	var o map[string]any
	require.NoError(t, json.Unmarshal(tr.stdout.Bytes(), &o))
	require.Equal(t, ids[2], o["id"])
	require.Equal(t, "b", o["name"])
	started, err := time.Parse(time.RFC3339, o["started"].(string))
	require.NoError(t, err)
	require.WithinRange(t, started, time.Now().Add(-9*time.Hour), time.Now().Add(-7*time.Hour))
}

func TestCancelRemovesWhatIsNamed(t *testing.T) {
	for args, want := range map[string][]int{
		"b2://test-bucket/a":                        {0, 1},
		"b2://test-bucket/a ID1":                    {1},
		"--older 2h30m b2://test-bucket/a":          {0},
		"--prefix --older 2h30m b2://test-bucket/":  {0},
		"--prefix --older 0s b2://test-bucket/":     {0, 1, 2},
		"b2://test-bucket/nothing":                  nil,
		"--prefix --older 30d b2://test-bucket/ -q": nil,
	} {
		t.Run(args, func(t *testing.T) {
			tr, s := newB2Trial(t, serverInThePast())
			ids := tr.leave(s, "a", "a", "ab")
			args = strings.ReplaceAll(args, "ID1", ids[1])
			require.Equal(t, exitDone, tr.run(append([]string{"cancel"}, strings.Fields(args)...)...), tr.stderr())
			var gone []string
			for _, i := range want {
				gone = append(gone, ids[i])
			}
			require.ElementsMatch(t, gone, tr.listed())
			require.Len(t, s.Unfinished(), len(ids)-len(gone))
			for _, f := range s.Unfinished() {
				require.NotContains(t, gone, f.ID)
			}
		})
	}
}

func TestCancelTellsOfAnIDThatIsNotThereAndCancelsTheOthers(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	ids := tr.leave(s, "a", "b")
	require.Equal(t, exitFailed, tr.run("cancel", "b2://test-bucket/a", ids[0], ids[1]))
	require.Contains(t, tr.stderr(), "b2://test-bucket/a has no unfinished large file "+ids[1])
	require.Equal(t, ids[:1], tr.listed())
	require.Len(t, s.Unfinished(), 1)
}

// A store whose list names a large file in other words than it takes says that there is none.
func TestCancel_CountsOnlyWhatItHasCancelled(t *testing.T) {
	store := memorybackend.New(nil)
	large, err := store.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	d := &destination{backend: faults.New(store, faults.Fail(fs.ErrNotExist, faults.OnKind(faults.ResumeLargeFile))), name: "a"}

	var stdout bytes.Buffer
	all := &selection{session: &session{sys: system{stdout: &stdout}, dest: "mem://a", quiet: true}}
	require.NoError(t, all.cancelAll(t.Context(), d))
	require.Empty(t, stdout.String(), "nothing was cancelled")
	named := &selection{session: all.session, ids: []string{large.Info().ID}}
	err = named.cancelAll(t.Context(), d)
	require.ErrorIs(t, err, fs.ErrNotExist, "it was named")
}

func TestWrongUsageOfASubcommandIsTold(t *testing.T) {
	for args, says := range map[string]string{
		"get":               "sluice get needs a DEST",
		"get mem://x":       "mem:// has no command get: it is this process's memory, gone when sluice ends",
		"unfinished mem://": "mem:// has no command unfinished",
		"get b2://test-bucket/x b2://test-bucket/y":       "one argument too many",
		"get --sha256 abc b2://test-bucket/x":             "64 hexadecimal digits",
		"get --part-size 1MiB b2://test-bucket/x":         "unknown flag: --part-size",
		"get -q -v b2://test-bucket/x":                    "-q and -v",
		"get --timeout -1s b2://test-bucket/x":            "must be a length of time such as 36h or 30d",
		"--json get b2://test-bucket/x":                   "a command's name comes first: sluice get",
		"get nothing":                                     "has no scheme",
		"unfinished b2://test-bucket/x ID":                "one argument too many",
		"unfinished --older soon b2://test-bucket/x":      "36h or 30d",
		"cancel b2://test-bucket/":                        "names no file",
		"cancel --prefix b2://test-bucket/":               "--prefix needs --older",
		"cancel --prefix --older 1h b2://test-bucket/ ID": "contradict",
	} {
		t.Run(args, func(t *testing.T) {
			tr, s := newB2Trial(t, nil)
			require.Equal(t, exitUsage, tr.run(strings.Fields(args)...))
			require.Contains(t, tr.stderr(), says)
			require.Empty(t, tr.stdout.String())
			require.Zero(t, s.Count("b2_list_unfinished_large_files"))
		})
	}
}

func TestResumeSendsOnlyWhatIsMissing(t *testing.T) {
	for _, by := range []string{"name", "id"} {
		t.Run(by, func(t *testing.T) {
			tr, s := newB2Trial(t, nil)
			ids := tr.leave(s, "x")
			flag := "--resume"
			if by == "id" {
				flag = "--resume-id=" + ids[0]
			}
			tr.stdin(noise(2_400_000))
			require.Equal(t, exitDone, tr.run("--json", flag, "--part-size", "1MiB", "b2://test-bucket/x"), tr.stderr())
			require.Equal(t, noise(2_400_000), b2Content(t, s, "x"))
			require.Regexp(t, "^\\S+ \\S+ sluice: resuming large file "+ids[0]+": 2 parts, 2 MB are stored;", tr.stderr())
			require.Contains(t, tr.stderr(), ", 2 MB reused,")
			require.EqualValues(t, 2<<20, tr.object()["reused_bytes"])
			require.Empty(t, s.Unfinished())
		})
	}
}

func TestResumeOfNothingStartsAnewAndKeepsWhatFails(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Part: 2, Status: 400}))
	s.ExpectUnfinished("x")
	tr.stdin(noise(2_400_000))
	require.Equal(t, exitFailed, tr.run("--resume", "--part-size", "1MiB", "b2://test-bucket/x"))
	require.Regexp(t, "^\\S+ \\S+ sluice: b2://test-bucket/x has no unfinished large file: starting anew\n", tr.stderr())
	require.Contains(t, tr.stderr(), "is kept")
	require.Len(t, s.Unfinished(), 1)
}

func TestResumeOfWhatTheStoreHasNotIsAFailureAndNotWrongUsage(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	require.Equal(t, exitFailed, tr.run("--resume-id", "4_z0000", "b2://test-bucket/x", "--", "touch", "started"))
	require.Contains(t, tr.stderr(), "4_z0000")
	require.NoFileExists(t, "started")
	require.Zero(t, s.Count("b2_upload_file"))
}

// No output shows a secret: of the keys, only the id is told.
func TestNoOutputShowsASecret(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	const canary = "CANARY-APPLICATION-KEY"
	k, err := s.AddKey(b2test.Key{ID: "keyid", Secret: canary})
	require.NoError(t, err)
	t.Setenv("B2_APPLICATION_KEY_ID", k.ID)
	t.Setenv("B2_APPLICATION_KEY", k.Secret)
	t.Setenv("B2_SSE_C_KEY", "Q0FOQVJZLUNVU1RPTUVSLUtFWS0zMi1CWVRFUy0hISE=")
	secrets := []string{canary, os.Getenv("B2_SSE_C_KEY"), "CANARY-CUSTOMER-KEY"}
	s.ExpectUnfinished("left")
	faults := []b2test.Fault{
		{Call: "b2_upload_part", Part: 1, Status: 503},
		{Call: "b2_upload_part", Part: 2, Kind: b2test.ExpireToken},
		{Call: "b2_finish_large_file", Kind: b2test.Drop},
		{Call: "b2_download_file_by_name", Kind: b2test.ExpireToken},
		{Call: "b2_list_unfinished_large_files", Status: 503},
	}
	for _, c := range []struct {
		exit int
		args string
	}{
		{exitDone, "-v --json --sse c --part-size 1MiB b2://test-bucket/x"},
		{exitDone, "get -v --json --sse c b2://test-bucket/x"},
		{exitFailed, "get -v --json b2://test-bucket/x"},
		{exitFailed, "-v --json --sse c --part-size 1MiB --size 2MB --keep-on-error b2://test-bucket/left"},
		{exitDone, "unfinished -v b2://test-bucket/"},
		{exitDone, "cancel -v b2://test-bucket/left"},
		{exitFailed, "get -v b2://no-such-bucket/x"},
		{exitFailed, "get -v b2://test-bucket/nothing"},
	} {
		require.NoError(t, s.Inject(faults...))
		tr.stdin(noise(2_400_000))
		require.Equal(t, c.exit, tr.run(strings.Fields(c.args)...), "%s\n%s", c.args, tr.stderr())
		s.ClearFaults()
		require.Contains(t, tr.stderr(), "logging in", "it tells of what it does")
		for _, secret := range secrets {
			require.NotContains(t, tr.stderr()+tr.stdout.String(), secret, c.args)
		}
		tr.again()
	}
	t.Setenv("B2_APPLICATION_KEY_ID", "another")
	require.Equal(t, exitFailed, tr.run("get", "-v", "b2://test-bucket/x"))
	require.Contains(t, tr.stderr(), `key "another"`)
	require.NotContains(t, tr.stderr(), canary)
}
