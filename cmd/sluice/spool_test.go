//go:build unix

package main

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Wrong usage is what starts nothing, and the command was run.
func TestWhatIsFoundWrongAfterSpoolingIsAFailure(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitFailed, tr.run("--spool", t.TempDir(), "--part-size", "1TB", "mem://x", "--", "echo", "x"))
	require.Contains(t, tr.stderr(), "--part-size 1 TB is not between")
	tr.requireNothing()
}

// The source is a command that says nothing, or standard input that does not end.
func TestASignalAndATimeoutEndASpoolThatWaitsForItsSource(t *testing.T) {
	for name, command := range map[string][]string{
		"a command": {"--", "sh", "-c", "echo begun; exec sleep 600"}, "standard input": nil,
	} {
		for says, flags := range map[string][]string{"signal: terminated": nil, "--timeout 50ms has passed": {"--timeout", "50ms"}} {
			t.Run(name+", "+says, func(t *testing.T) {
				tr := newTrial(t)
				tr.openStdin()
				if flags == nil {
					tr.signals <- syscall.SIGTERM
				}
				dir := t.TempDir()
				require.Equal(t, exitFailed, tr.run(append(append(flags, "--spool", dir, "mem://x"), command...)...), tr.stderr())
				require.Contains(t, tr.stderr(), "before anything was sent: "+says)
				tr.requireNothing()
				left, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Empty(t, left)
			})
		}
	}
}

func TestTemporaryFiles_AreNewAndTheirOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	stdin, _, err := os.Pipe()
	require.NoError(t, err)
	defer stdin.Close()
	dir := t.TempDir()
	j := &job{config: &config{spool: dir}, source: &source{stdin: stdin, reader: strings.NewReader("text")}}
	s, err := j.spool(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.EqualValues(t, 4, s.size)
	info, err := s.Stat()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.Zero(t, info.Sys().(*syscall.Stat_t).Nlink)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
