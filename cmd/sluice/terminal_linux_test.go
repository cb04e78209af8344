package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// openTerminal opens a pseudo-terminal: what a user types and sees, and the terminal of a
// program.
func openTerminal(t *testing.T) (user, terminal *os.File) {
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { user.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return user, terminal
}

// onTerminal makes a child whose standard error, and controlling terminal, is a terminal 70
// wide.
func onTerminal(t *testing.T, as string, args ...string) (c *exec.Cmd, user *os.File) {
	user, terminal := openTerminal(t)
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 70}))
	binary, err := os.Executable()
	require.NoError(t, err)
	c = exec.Command(binary, args...)
	c.Env = childEnv(as)
	c.Stderr = terminal
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
	t.Cleanup(func() {
		if c.Process != nil {
			_ = c.Process.Kill()
		}
	})
	return c, user
}

// readUntil returns what the user sees up to text.
func readUntil(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), text) {
		b, err := r.ReadByte()
		require.NoError(t, err, "after %q", seen.String())
		seen.WriteByte(b)
	}
	return seen.String()
}

func TestOnATerminalTheProgressIsRewrittenInPlace(t *testing.T) {
	c, user := onTerminal(t, "sluice", "mem://x")
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	screen := bufio.NewReader(user)
	readUntil(t, screen, "\n") // the reach
	_, err = stdin.Write(noise(1500))
	require.NoError(t, err)
	readUntil(t, screen, "1.5 kB in, ")
	line := "1.5 kB in, " + readUntil(t, screen, "\r\x1b[K")
	line = strings.TrimSuffix(line, "\r\x1b[K")
	require.Len(t, line, 69) // one less than the terminal is wide
	require.NotContains(t, line, "\n")
	stdin.Close()
	last := readUntil(t, screen, "is stored")
	require.Contains(t, last, "\r\x1b[Ksluice: mem://x is stored") // the progress is gone
	require.NoError(t, c.Wait())
}

// A download from a server that holds back half of it.
func TestOnATerminalTheProgressOfGetIsRewrittenInPlace(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	data := noise(1000)
	tr.stores(data, "b2://test-bucket/x")
	c, user := onTerminal(t, "sluice", "get", "b2://test-bucket/x")
	c.Env = append(c.Env, "B2_ENDPOINT="+s.URL(), "B2_APPLICATION_KEY_ID="+s.KeyID(), "B2_APPLICATION_KEY="+s.Key())
	hold := make(chan struct{})
	require.NoError(t, s.Inject(
		b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Truncate},
		b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Wait, Hold: hold}))
	var out bytes.Buffer
	c.Stdout = &out
	require.NoError(t, c.Start())
	screen := bufio.NewReader(user)
	readUntil(t, screen, "500 bytes of 1 kB received, ")
	line := "500 bytes of 1 kB received, " + readUntil(t, screen, "\r\x1b[K")
	line = strings.TrimSuffix(line, "\r\x1b[K")
	require.Contains(t, line, "/s mean, ")
	require.LessOrEqual(t, len(line), 69)
	require.NotContains(t, line, "\n")
	close(hold)
	last := readUntil(t, screen, "is read")
	require.Contains(t, last, "\r\x1b[Ksluice: b2://test-bucket/x is read") // the progress is gone
	require.NoError(t, c.Wait())
	require.Equal(t, data, out.Bytes())
}

func TestAnInterruptTypedAtTheTerminalReachesTheCommandOnce(t *testing.T) {
	c, user := onTerminal(t, "impatient sluice", append([]string{"-q", "mem://x", "--"}, reporter(t, "signal reporter")...)...)
	require.NoError(t, c.Start())
	screen := bufio.NewReader(user)
	readUntil(t, screen, "ready")
	_, err := user.Write([]byte{3})
	require.NoError(t, err)
	// The reporter goes on after an interrupt, so that a doubled one would show before SIGTERM
	// ends it.
	said := readUntil(t, screen, "got terminated")
	require.Equal(t, 1, strings.Count(said, "got interrupt"), said)
	require.Error(t, c.Wait())
	require.Equal(t, exitFailed, c.ProcessState.ExitCode())
}

func TestATerminalOnStandardInputIsWrongUsage(t *testing.T) {
	_, terminal := openTerminal(t)
	tr := newTrial(t)
	tr.sys.stdin = terminal
	require.Equal(t, exitUsage, tr.run("mem://x"))
	require.Contains(t, tr.stderr(), "standard input is a terminal")
}
