//go:build unix

package endtoend

import (
	"bufio"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// killOnce calls kill when a line contains text, and returns all lines.
func killOnce(stderr io.Reader, text string, kill func()) string {
	var log strings.Builder
	killed := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if !killed && strings.Contains(lines.Text(), text) {
			killed = true
			kill()
		}
	}
	return log.String()
}

// killed runs sluice on the first bytes of a file, which do not end, and kills it once its
// second part is stored.
func (w *world) killed(flags, name string) {
	w.t.Helper()
	c := w.command("exec sluice -v -part-size 1MiB -concurrency 2 " + flags + " b2://demo-bucket/" + name)
	stdin, err := c.StdinPipe()
	require.NoError(w.t, err)
	stderr, err := c.StderrPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, c.Start())
	data, err := os.Open(w.dir + "/data")
	require.NoError(w.t, err)
	defer data.Close()
	go func() { _, _ = io.CopyN(stdin, data, 7<<20) }()
	log := killOnce(stderr, "part 2 is stored", func() { require.NoError(w.t, c.Process.Kill()) })
	require.NotContains(w.t, log, w.key())
	require.Error(w.t, c.Wait())
	require.Equal(w.t, syscall.SIGKILL, c.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

func TestWhatSIGKILLLeavesIsListedResumedOrCancelled(t *testing.T) {
	w := newWorld(t)
	w.run("head -c 12345678 /dev/urandom > data")

	w.killed("", "x")
	left := w.requireUnfinished(1)
	require.Regexp(t, `^4_\S+  20\d\d-\S+Z  x\n$`, left[0])
	id := strings.Fields(left[0])[0]
	code, _, _ := w.try("sluice get b2://demo-bucket/x")
	require.Equal(t, 1, code, "no finished file")

	code, report, stderr := w.try("sluice -json -resume -part-size 1MiB b2://demo-bucket/x < data")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "resuming large file "+id)
	require.Regexp(t, `"reused_bytes":[1-9]`, report)
	w.run("sluice get b2://demo-bucket/x | cmp - data")
	w.requireUnfinished(0)

	w.killed("", "y")
	w.killed("", "y")
	id = strings.Fields(w.requireUnfinished(2)[0])[0]
	require.Equal(t, id, strings.Fields(w.run("sluice cancel b2://demo-bucket/y " + id))[0])
	w.requireUnfinished(1)
	w.run("sluice cancel b2://demo-bucket/y")
	w.requireNothingLeft("y")
}

func TestResume_RejectsAnotherStreamUnlessToldToStartAnew(t *testing.T) {
	w := newWorld(t)
	w.run("head -c 12345678 /dev/urandom > data")
	w.killed("", "x")
	w.run("head -c 12345678 /dev/urandom > data")
	code, _, stderr := w.try("sluice -resume -part-size 1MiB b2://demo-bucket/x < data")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "does not match the stream")
	w.requireUnfinished(1)
	w.run("sluice -resume -restart-on-mismatch -part-size 1MiB b2://demo-bucket/x < data")
	w.run("sluice get b2://demo-bucket/x | cmp - data")
	w.requireUnfinished(0)
}

func TestAProducerThatDiesLeavesNothing(t *testing.T) {
	w := newWorld(t)
	code, _, stderr := w.try(`sluice -part-size 1MiB b2://demo-bucket/x -- bash -c 'set -o pipefail; { head -c 5000000 /dev/urandom; kill -9 $BASHPID; } | cat'`)
	require.Equal(t, 3, code, stderr)
	w.requireNothingLeft("x")
}
