//go:build unix

package b2test_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// Clients that others wrote, and that are used with the real service every day.

// need skips the test, loudly, if a program is not installed. Where
// SLUICE_TEST_TOOLS is "required", as in the gate, that is a failure.
func need(t *testing.T, program string) {
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	text := "NOT TESTED: " + program + " is not installed; apt-get install " + program
	if os.Getenv("SLUICE_TEST_TOOLS") == "required" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// rclone is rclone with one store, "store:".
type rclone struct {
	t   *testing.T
	s   *b2test.Server
	dir string
	env []string
}

func newRclone(t *testing.T, opts *b2test.Options) *rclone {
	need(t, "rclone")
	if opts == nil {
		opts = &b2test.Options{}
	}
	opts.MaxAuthorize = -1 // every command logs in
	s := newServer(t, opts)
	r := &rclone{t: t, s: s, dir: t.TempDir()}
	r.env = append(os.Environ(), "RCLONE_CONFIG="+filepath.Join(r.dir, "none"), "RCLONE_CONFIG_STORE_TYPE=b2",
		"RCLONE_CONFIG_STORE_ACCOUNT="+s.KeyID(), "RCLONE_CONFIG_STORE_KEY="+s.Key(), "RCLONE_CONFIG_STORE_ENDPOINT="+s.URL(),
		"RCLONE_B2_UPLOAD_CUTOFF=5M", "RCLONE_B2_CHUNK_SIZE=5M", "RCLONE_B2_COPY_CUTOFF=5M")
	t.Cleanup(r.check)
	return r
}

// check looks at the requests: the server knew every call, and refused only
// what rclone asks on chance.
func (r *rclone) check() {
	if r.t.Failed() {
		return
	}
	asked := map[string]bool{ // whether a name is taken, a folder is a file, a bucket is there
		"404 b2_download_file_by_name": true, "400 b2_create_bucket": true,
	}
	for _, q := range r.s.Requests() {
		require.NotEmpty(r.t, q.Call, "%s %s", q.Method, q.Path)
		if q.Status >= 300 {
			require.True(r.t, asked[fmt.Sprint(q.Status, " ", q.Call)], "%s %s: %d %s", q.Method, q.Path, q.Status, q.Code)
		}
	}
	require.NoError(r.t, r.s.Check())
}

// sh runs a script beside the files of files, and returns its output.
func (r *rclone) sh(script string) string {
	r.t.Helper()
	c := exec.Command("bash", "-c", "set -euo pipefail; "+script)
	c.Dir, c.Env = r.dir, r.env
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(r.t, err, "%s\n%s%s", script, out, stderr.String())
	return string(out)
}

// files makes a folder "in": an empty file, a small one, a large one of three parts.
func (r *rclone) files() {
	r.sh("mkdir in; : > in/empty; head -c 1000 /dev/urandom > 'in/small ü+%'; head -c 12345678 /dev/urandom > in/large")
}

func TestRcloneCopiesInAndOut(t *testing.T) {
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone copy in store:test-bucket/dir; rclone copy store:test-bucket/dir out; diff -r in out")
	r.sh("rclone check in store:test-bucket/dir; rclone check --download in store:test-bucket/dir")
	require.Equal(t, 3, r.s.Count("b2_upload_part"))
	for _, f := range r.s.Files("test-bucket") {
		require.NotEmpty(t, f.Info["src_last_modified_millis"])
	}
	// Nothing is copied a second time: size, time and digest are as they were.
	r.sh("rclone copy in store:test-bucket/dir")
	require.Len(t, r.s.Files("test-bucket"), 3)
}

func TestRcloneListsSizes(t *testing.T) {
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone copy in store:test-bucket/dir")
	var sizes []string
	for line := range strings.Lines(r.sh("rclone lsl store:test-bucket")) {
		sizes = append(sizes, strings.Fields(line)[0]+" "+strings.TrimSpace(line[strings.Index(line, "dir/"):]))
	}
	require.ElementsMatch(t, []string{"0 dir/empty", "1000 dir/small ü+%", "12345678 dir/large"}, sizes)
	require.Equal(t, "dir/\n", r.sh("rclone lsf store:test-bucket"))
	require.Contains(t, r.sh("rclone size store:test-bucket"), "12346678 Byte")
	require.Contains(t, r.sh("rclone lsd store:"), "test-bucket")
	require.Equal(t, r.sh("cd in; sha1sum * | sort"), r.sh("rclone sha1sum store:test-bucket/dir | sort"))
}

func TestRcloneStreamsInAndOut(t *testing.T) {
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone rcat store:test-bucket/large < in/large; rclone cat store:test-bucket/large | cmp - in/large")
	r.sh("rclone rcat store:test-bucket/small < 'in/small ü+%'; rclone cat store:test-bucket/small | cmp - 'in/small ü+%'")
	r.sh("rclone cat --offset 7000000 --count 1000 store:test-bucket/large | cmp - <(tail -c +7000001 in/large | head -c 1000)")
	require.Equal(t, 1, r.s.Count("b2_finish_large_file"))
	require.Equal(t, 1, r.s.Count("b2_upload_file"))
}

func TestRcloneCopiesOnTheServer(t *testing.T) {
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone copy in store:test-bucket; cp -r in want; mv want/large want/large2")
	r.sh("rclone moveto store:test-bucket/large store:test-bucket/large2; rclone copyto 'store:test-bucket/small ü+%' store:test-bucket/copy")
	r.sh("cp 'in/small ü+%' want/copy; rclone check --download want store:test-bucket")
	require.Equal(t, 1, r.s.Count("b2_copy_file"))
	require.Equal(t, 3, r.s.Count("b2_copy_part"))
}

func TestRcloneCleansUp(t *testing.T) {
	r := newRclone(t, &b2test.Options{Now: func() time.Time { return time.Now().Add(-30 * time.Hour) }})
	login(t, r.s).start("old unfinished")
	r.s.Advance(29 * time.Hour)
	c := login(t, r.s) // the first token has ended
	young := c.start("young unfinished")
	r.s.ExpectUnfinished("young unfinished")
	c.upload("file", "one")
	c.upload("file", "two")
	c.upload("gone", "three")
	r.sh("rclone deletefile store:test-bucket/gone")
	require.Len(t, r.s.Files("test-bucket"), 4, "versions, and a marker that hides one")
	r.sh("rclone cleanup store:test-bucket")
	left := r.s.Files("test-bucket")
	require.Len(t, left, 1)
	require.Equal(t, "two", content(t, r.s, "file"))
	require.Len(t, r.s.Unfinished(), 1)
	require.Equal(t, young, r.s.Unfinished()[0].ID)
}

func TestRcloneMakesAndRemovesBuckets(t *testing.T) {
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone mkdir store:another-bucket; rclone copy in store:another-bucket/dir")
	require.Len(t, r.s.Files("another-bucket"), 3)
	r.sh("rclone purge store:another-bucket/dir; rclone rmdir store:another-bucket")
	require.NotContains(t, r.sh("rclone lsd store:"), "another-bucket")
}

func TestRcloneLinksAreDownloadsWithAToken(t *testing.T) {
	need(t, "curl")
	r := newRclone(t, nil)
	r.files()
	r.sh("rclone copy in store:test-bucket; curl -sSf \"$(rclone link store:test-bucket/large)\" | cmp - in/large")
}
