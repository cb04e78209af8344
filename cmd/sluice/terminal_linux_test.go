package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

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

// screen is what a user sees of a terminal 70 wide: its rows, of which long lines take several.
type screen struct {
	t    *testing.T
	user *bufio.Reader
	rows [][]rune
	at   int    // column in the last row
	long []bool // the row goes on in the next one
}

// until draws what comes, up to the first text like that.
func (s *screen) until(text string) {
	s.t.Helper()
	seen := readUntil(s.t, s.user, text)
	for len(seen) > 0 {
		switch {
		case strings.HasPrefix(seen, "\x1b[K"):
			s.rows[len(s.rows)-1] = s.rows[len(s.rows)-1][:s.at]
			seen = seen[3:]
			continue
		case len(s.rows) == 0:
			s.newRow(false)
			continue
		}
		c, n := utf8.DecodeRuneInString(seen)
		seen = seen[n:]
		switch c {
		case '\r':
			s.at = 0
		case '\n':
			s.newRow(false)
		default:
			require.True(s.t, unicode.IsPrint(c), "%q", c)
			if s.at == 70 {
				s.newRow(true)
			}
			row := &s.rows[len(s.rows)-1]
			*row = append((*row)[:s.at], append([]rune{c}, (*row)[min(len(*row), s.at+1):]...)...)
			s.at++
		}
	}
}

func (s *screen) newRow(long bool) {
	if n := len(s.rows); n > 0 {
		s.long[n-1] = long
	}
	s.rows, s.long, s.at = append(s.rows, nil), append(s.long, false), 0
}

// lines are the rows, those of a long line joined. That nothing has moved may be there on a slow
// machine, and is left out.
func (s *screen) lines() (lines []string) {
	joined := ""
	for i, row := range s.rows {
		joined += string(row)
		if !s.long[i] {
			if !strings.HasPrefix(joined, "sluice: nothing has moved for") {
				lines = append(lines, joined)
			}
			joined = ""
		}
	}
	return lines
}

func (s *screen) last() string {
	lines := s.lines()
	return lines[len(lines)-1]
}

// A user stores a file from a pipe, gets it into a file, and removes it.
func TestTerminal_ASessionLooksAsItShould(t *testing.T) {
	_, s := newB2Trial(t, nil)
	data := noise(3_000_000)
	dir := t.TempDir()
	user, terminal := openTerminal(t)
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 70}))
	sc := &screen{t: t, user: bufio.NewReader(user)}
	start := func(args ...string) *exec.Cmd {
		binary, err := os.Executable()
		require.NoError(t, err)
		c := exec.CommandContext(t.Context(), binary, args...)
		c.Env = append(childEnv("sluice"), "B2_ENDPOINT="+s.URL(), "B2_APPLICATION_KEY_ID="+s.KeyID(), "B2_APPLICATION_KEY="+s.Key())
		c.Dir, c.Stdin, c.Stdout, c.Stderr = dir, terminal, terminal, terminal
		return c
	}
	const dest = "b2://test-bucket/x"

	put := start("put", "--part-size", "1MiB", dest)
	put.Stdin = nil
	source, err := put.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, put.Start())
	_, err = source.Write(data[:2_500_000])
	require.NoError(t, err)
	sc.until("2.5 MB in, 2 MB stored, ")
	sc.until(" in flight")
	require.Regexp(t, `^2\.5 MB in, 2 MB stored, [0-9.]+ (bytes|[kM]B)/s now, [0-9.]+ (bytes|[kM]B)/s mean, \d in flight$`, sc.last())
	_, err = source.Write(data[2_500_000:])
	require.NoError(t, err)
	require.NoError(t, source.Close())
	sc.until(", id ")
	sc.until("\n")
	require.NoError(t, put.Wait())

	hold := make(chan struct{})
	require.NoError(t, s.Inject(
		b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Truncate},
		b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Wait, Count: -1, Hold: hold}))
	get := start("get", "-o", "back", dest)
	require.NoError(t, get.Start())
	sc.until(" of 3 MB received, ")
	sc.until("mean")
	require.Regexp(t, `^\S+ (bytes|[kM]B) of 3 MB received, .* now, .* mean$`, sc.last())
	close(hold)
	sc.until(dest + " is read, ")
	sc.until("\n")
	require.NoError(t, get.Wait())
	back, err := os.ReadFile(filepath.Join(dir, "back"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back))

	for _, answer := range []string{"n\n", "\n", "yes\n"} {
		rm := start("rm", dest)
		require.NoError(t, rm.Start())
		sc.until("? [y/N] ")
		_, err = user.WriteString(answer)
		require.NoError(t, err)
		sc.until("\n") // the answer itself
		sc.until("\n")
		require.Equal(t, answer == "yes\n", rm.Wait() == nil)
	}
	require.Empty(t, s.Files("test-bucket"))

	const id = `id 4_\S+`
	question := `remove ` + dest + `, 3 MB, stored \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\? \[y/N\] `
	want := []string{
		`sluice: ` + dest + ` takes up to 1\.2 TB with 256 MiB of memory, in parts from 1 MiB to 128 MiB, up to \d+ at once`,
		`sluice: ` + dest + ` is stored, 3 MB in 3 parts, \d+\.\d s, [0-9.]+ (bytes|[kM]B)/s, ` + id,
		`sluice: ` + dest + ` is read, 3 MB, \d+\.\d s, checked by its length, ` + id + `, sha256 ` + hexSHA256(data),
		question + "n", "sluice: nothing was removed",
		question, "sluice: nothing was removed",
		question + "yes", `sluice: ` + dest + ` is removed, 3 MB, ` + id,
		"",
	}
	shown := sc.lines()
	require.Len(t, shown, len(want), "%q", shown)
	for i, line := range want {
		require.Regexp(t, "^"+line+"$", shown[i])
	}
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
