//go:build unix

package endtoend

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// unprivileged makes a command one of a user that owns nothing but dir. Where the tests have no
// privileges they are that user.
func unprivileged(t *testing.T, c *exec.Cmd, dir string) {
	if os.Getuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// A user without privileges and without a home, in the environment of a cron job.
func TestAnUnprivilegedUserUploadsAndGetsItBack(t *testing.T) {
	w := newWorld(t)
	// TempDir is below folders that only root may pass.
	dir, err := os.MkdirTemp("", "sluice-nobody-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	shown := filepath.Join(t.TempDir(), "unreadable") // to others
	require.NoError(t, os.WriteFile(shown, []byte("secret"), 0o600))
	run := func(script string) (stdout, stderr string, err error) {
		c := exec.Command("/bin/bash", "-c", "set -euo pipefail; "+script)
		unprivileged(t, c, dir)
		c.Dir = dir
		c.Env = []string{"PATH=" + binaries + ":/usr/bin:/bin", "HOME=/nonexistent", "SHELL=/bin/sh", "LC_ALL=C.UTF-8"}
		for _, name := range []string{"B2_ENDPOINT", "B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY"} {
			c.Env = append(c.Env, name+"="+w.variable(name))
		}
		var out, log bytes.Buffer
		c.Stdout, c.Stderr = &out, &log
		err = c.Run()
		return out.String(), log.String(), err
	}
	who, _, err := run("id -u")
	require.NoError(t, err)
	require.NotEqual(t, "0", strings.TrimSpace(who))
	_, log, err := run(`umask 077
		head -c 5000000 /dev/urandom > data
		sluice -part-size 1MiB -memory 8MiB b2://demo-bucket/data -- cat data
		sluice -z -buffer-dir . -memory 64MiB -part-size 1MiB b2://demo-bucket/data.zst < data
		sluice file://stored < data
		sluice get b2://demo-bucket/data | cmp - data
		cmp stored data
		sluice unfinished file:///"$PWD"/ | cmp - /dev/null`)
	require.NoError(t, err, log)
	w.requireUnfinished(0)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, left, 2, "data and stored: %v", left)

	// What such a user may not do is a failure that names it.
	if os.Getuid() == 0 {
		_, log, err = run("sluice b2://demo-bucket/x -- cat " + shown)
		require.Error(t, err)
		require.Contains(t, log, "Permission denied")
		require.Contains(t, log, "command cat: exit status 1")
		_, log, err = run("sluice file:///etc/sluice-was-here < data")
		require.Error(t, err)
		require.Contains(t, log, "permission denied")
		require.NoFileExists(t, "/etc/sluice-was-here")
	}
}
