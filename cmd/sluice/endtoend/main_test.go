//go:build unix

// Package endtoend holds no code: its tests run sluice as people do, in shells, beside the
// tools that it is used with, against a server that is a process of its own. Each ends with
// the data back and compared.
package endtoend

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// binaries is the folder with sluice and b2server, which is the first of PATH.
var binaries string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "sluice-endtoend-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	if err := os.Chmod(binaries, 0o755); err != nil { // for other users than the tests'
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for name, folder := range map[string]string{"sluice": "..", "b2server": "../../b2server", "peak": "./testdata/peak"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(binaries, name), folder).CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n%s", name, err, out)
			return 1
		}
	}
	return m.Run()
}

// need skips the test, loudly, if a program is not installed. Where SLUICE_TEST_TOOLS is
// "required", as in the gate, that is a failure.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil || errors.Is(err, fs.ErrPermission) {
		return // a file of a shell's, which is not run, is there too
	}
	text := fmt.Sprintf("NOT TESTED: %s is not installed; apt-get install %s", program, debian)
	if os.Getenv("SLUICE_TEST_TOOLS") == "required" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// readText returns the content of a file.
func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

// world is a server and the environment in which commands reach it.
type world struct {
	t      *testing.T
	server *exec.Cmd
	log    *lockedBuffer // the server's standard error
	env    []string
	dir    string // where commands run
}

// newWorld starts a server with small parts.
func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), log: new(lockedBuffer)}
	w.server = exec.Command(filepath.Join(binaries, "b2server"), "-min-part-size", "1048576")
	w.server.Stderr = w.log
	stdout, err := w.server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.server.Start())
	t.Cleanup(func() {
		_ = w.server.Process.Signal(syscall.SIGTERM)
		_ = w.server.Wait()
	})
	w.env = append(os.Environ(), "PATH="+binaries+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8")
	for range 4 {
		var line []byte
		for b := make([]byte, 1); ; line = append(line, b[0]) {
			_, err := stdout.Read(b)
			require.NoError(t, err, "%s", w.log.String())
			if b[0] == '\n' {
				break
			}
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(string(line), "export "), "=")
		w.env = append(w.env, name+"="+strings.Trim(value, "'"))
	}
	return w
}

// key is the server's secret key.
func (w *world) key() string { return w.variable("B2_APPLICATION_KEY") }

func (w *world) variable(name string) string {
	for _, v := range w.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	w.t.Fatalf("no %s in the environment", name)
	return ""
}

// set adds to the environment.
func (w *world) set(name, value string) { w.env = append(w.env, name+"="+value) }

// command is a shell's.
func (w *world) command(script string) *exec.Cmd {
	c := exec.Command("bash", "-c", "set -euo pipefail; "+script)
	c.Dir, c.Env = w.dir, w.env
	return c
}

// run runs a script that must succeed, and returns its output. No secret may be in it, nor in
// what it says.
func (w *world) run(script string) string {
	w.t.Helper()
	code, stdout, stderr := w.try(script)
	require.Zero(w.t, code, "%s\n%s", script, stderr)
	return stdout
}

// try runs a script and returns its exit code too.
func (w *world) try(script string) (code int, stdout, stderr string) {
	w.t.Helper()
	c := w.command(script)
	var out, log bytes.Buffer
	c.Stdout, c.Stderr = &out, &log
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(w.t, err)
	}
	require.NotContains(w.t, out.String()+log.String(), w.key(), "the key is shown by: %s", script)
	return c.ProcessState.ExitCode(), out.String(), log.String()
}

// requireNothingLeft checks that the store holds no file of the name, and no unfinished one at
// all.
func (w *world) requireNothingLeft(name string) {
	w.t.Helper()
	code, _, stderr := w.try("sluice get b2://demo-bucket/" + name)
	require.Equal(w.t, 1, code)
	require.Contains(w.t, stderr, "file does not exist")
	w.requireUnfinished(0)
}

// requireUnfinished checks how many unfinished large files there are, and returns the lines
// about them.
func (w *world) requireUnfinished(n int) []string {
	w.t.Helper()
	lines := slices.Collect(strings.Lines(w.run("sluice unfinished b2://demo-bucket/")))
	require.Len(w.t, lines, n)
	return lines
}

// lockedBuffer is written by a process and read by the test. The buffer is not embedded: its
// ReadFrom, which package exec would call, does not lock.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
