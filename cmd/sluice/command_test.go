//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
)

func sh(script string) []string { return args("mem://x", "--", "sh", "-c", script) }

func TestTheOutputOfACommandThatExits0IsStored(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run(sh("head -c 5000000 /dev/zero")...), tr.stderr())
	require.Equal(t, make([]byte, 5_000_000), tr.stored("x"))
	require.EqualValues(t, 5_000_000, tr.object()["source_bytes"])
}

func TestACommandThatFailsFinishesNothing(t *testing.T) {
	for name, script := range map[string]string{
		"without output":       "exit 7",
		"after a little":       "echo some; exit 7",
		"after many parts":     "head -c 5000000 /dev/zero; exit 7",
		"by a signal":          "head -c 5000000 /dev/zero; kill -9 $$",
		"after closing output": "head -c 5000000 /dev/zero; exec >&-; exit 7",
	} {
		for _, z := range []string{"-z=false", "-z=1"} {
			t.Run(name+" "+z, func(t *testing.T) {
				tr := newTrial(t)
				require.Equal(t, exitCommand, tr.run(append([]string{z}, sh(script)...)...))
				tr.requireNothing()
				require.Contains(t, tr.stderr(), "command sh: ")
				require.Contains(t, tr.object()["error"], "command sh: ")
			})
		}
	}
}

func TestAShellWithPipefailTellsOfAnyFailingStage(t *testing.T) {
	script := "set -o pipefail; { head -c 5000000 /dev/zero; exit 7; } | cat"
	tr := newTrial(t)
	require.Equal(t, exitCommand, tr.run(args("mem://x", "--", "bash", "-c", script)...))
	require.Contains(t, tr.stderr(), "exit status 7")
	tr.requireNothing()
}

func TestTheExitStatusOfTheCommandIsTold(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitCommand, tr.run(sh("exit 7")...))
	require.Contains(t, tr.stderr(), "exit status 7")
}

func TestACommandThatCannotBeStartedHasFailed(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitCommand, tr.run("--json", "mem://x", "--", "./no such command"))
	tr.requireNothing()
	require.Contains(t, tr.stderr(), "no such command")
	require.EqualValues(t, exitCommand, tr.object()["exit"])
}

func TestTheCommandHasStandardInputAndStandardError(t *testing.T) {
	tr := newTrial(t)
	tr.stdin([]byte("from stdin"))
	require.Equal(t, exitDone, tr.run(sh("echo to stderr >&2; tr a-z A-Z")...), tr.stderr())
	require.Equal(t, "FROM STDIN", string(tr.stored("x")))
	require.Contains(t, tr.stderr(), "to stderr\n")
}

func TestCommand_HasNoKeysOfTheDestination(t *testing.T) {
	all := map[string][]string{
		"b2": {"B2_APPLICATION_KEY", "B2_SSE_C_KEY"},
		"s3": {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "S3_SSE_C_KEY"},
		"bv": {"BV_API_TOKEN"},
	}
	for _, names := range all {
		for _, name := range names {
			t.Setenv(name, "canary of "+name)
		}
	}
	for name, own := range all {
		for _, pass := range []bool{false, true} {
			tr := newTrial(t)
			tr.sys.schemes = destinations()
			s := newSource(&config{session: &session{sys: tr.sys, url: name + "://bucket/x"}, passKeys: pass, command: []string{"env"}})
			require.NoError(t, s.start())
			env, err := io.ReadAll(s)
			require.NoError(t, err)
			require.Contains(t, string(env), "PATH=")
			for other, names := range all {
				for _, variable := range names {
					require.Equal(t, pass || other != name, strings.Contains(string(env), "canary of "+variable), "%s of %s:// for %s://", variable, other, name)
				}
			}
			require.Equal(t, own, schemeOf(t, name).secrets)
		}
	}
}

func TestAFailedUploadStopsTheCommandAndDecides(t *testing.T) {
	for name, script := range map[string]string{
		"that writes on":             "exec cat /dev/urandom",
		"that dies of SIGPIPE":       "trap '' TERM; exec cat /dev/urandom",
		"that is silent":             "head -c 20000000 /dev/urandom; exec sleep 600",
		"that has closed its output": "head -c 20000000 /dev/urandom; exec >&-; exec sleep 600",
	} {
		for _, z := range []string{"-z=false", "-z=1"} {
			t.Run(name+" "+z, func(t *testing.T) {
				tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)))
				require.Equal(t, exitFailed, tr.run(append([]string{z}, sh(script)...)...))
				require.Contains(t, tr.stderr(), "injected failure")
				tr.requireNothing()
			})
		}
	}
}

func TestACommandThatIgnoresSIGTERMIsKilled(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)))
	tr.sys.waitDelay = 50 * time.Millisecond
	require.Equal(t, exitFailed, tr.run(sh("trap '' TERM; head -c 3000000 /dev/zero; exec sleep 600")...))
	tr.requireNothing()
}

func TestTheLargeFileIsCancelledBeforeTheCommandIsWaitedFor(t *testing.T) {
	cancelled := make(chan struct{})
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)), signalOnce(cancelled, faults.Cancel))
	_, w := tr.openStdin()
	go func() {
		<-cancelled
		w.Close() // lets the command end
	}()
	require.Equal(t, exitFailed, tr.run(sh("trap '' TERM; head -c 3000000 /dev/zero; read -r line")...))
	tr.requireNothing()
}

// held is a script whose command exits with the status and leaves behind a process that holds
// the output, silently, until standard input is closed.
func held(status string) []string {
	return sh("echo all of it; exec 3<&0; cat <&3 & exit " + status)
}

func TestOutputThatIsHeldAfterTheCommandExitedIsBounded(t *testing.T) {
	tr := newTrial(t)
	tr.openStdin()
	tr.sys.waitDelay = 50 * time.Millisecond
	require.Equal(t, exitCommand, tr.run(held("0")...))
	require.Contains(t, tr.stderr(), "still holds its output")
	tr.requireNothing()
}

func TestOutputThatIsHeldIsNotWaitedForIfTheCommandFailed(t *testing.T) {
	tr := newTrial(t)
	tr.openStdin()
	tr.sys.waitDelay = time.Hour
	require.Equal(t, exitCommand, tr.run(held("7")...))
	require.Contains(t, tr.stderr(), "exit status 7")
	tr.requireNothing()
}

func TestOutputThatIsHeldForAMomentIsWhole(t *testing.T) {
	tr := newTrial(t)
	tr.stdin([]byte(", really")) // and then its end
	require.Equal(t, exitDone, tr.run(held("0")...), tr.stderr())
	require.Equal(t, "all of it\n, really", string(tr.stored("x")))
}

func TestAProcessLeftBehindThatWritesForEverIsBounded(t *testing.T) {
	tr := newTrial(t)
	tr.sys.waitDelay = 50 * time.Millisecond
	require.Equal(t, exitCommand, tr.run(args("--rate", "100MB", "mem://x", "--", "sh", "-c", "cat /dev/zero & exit 0")...))
	require.Contains(t, tr.stderr(), "still holds its output")
	tr.requireNothing()
}

func TestASlowUploadLosesNothingOfACommandThatHasExited(t *testing.T) {
	tr := newTrial(t)
	c := newCommand([]string{"sh", "-c", "head -c 60000 /dev/zero"}, nil, tr.sys)
	require.NoError(t, c.start())
	<-c.exited
	require.NoError(t, c.output.SetReadDeadline(time.Unix(1, 0))) // as after a long while
	data, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Len(t, data, 60_000)
}

func TestTimeoutStopsTheCommand(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitFailed, tr.run(append([]string{"--timeout", "50ms"}, sh("exec sleep 600")...)...))
	require.Contains(t, tr.stderr(), "--timeout 50ms has passed")
	tr.requireNothing()
}

// lines reads r on its own and hands over line by line; the channel is closed at the end.
func lines(r io.Reader) <-chan string {
	out := make(chan string, 100)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			out <- s.Text()
		}
	}()
	return out
}

// await returns all lines up to the first that contains text.
func await(t *testing.T, from <-chan string, text string) {
	t.Helper()
	var seen bytes.Buffer
	for line := range from {
		seen.WriteString(line + "\n")
		if bytes.Contains([]byte(line), []byte(text)) {
			return
		}
	}
	require.FailNow(t, "the output ended", "without %q:\n%s", text, seen.String())
}

func TestOkExit_CountsAStatusAsSuccess(t *testing.T) {
	for _, c := range []struct {
		flag, script string
		exit         int
	}{
		{"1", "head -c 3000000 /dev/zero; exit 1", exitDone},
		{"2,1", "head -c 10 /dev/zero; exit 1", exitDone},
		{"1", "echo x; exit 0", exitDone},
		{"1", "echo x; exit 2", exitCommand},
		{"143", "echo x; kill -TERM $$", exitCommand},
	} {
		tr := newTrial(t)
		require.Equal(t, c.exit, tr.run(args("--ok-exit", c.flag, "mem://x", "--", "sh", "-c", c.script)...), "%v: %s", c, tr.stderr())
		if c.exit != exitDone {
			tr.requireNothing()
			continue
		}
		require.Equal(t, []string{"x"}, tr.store.Names())
		if strings.HasSuffix(c.script, "exit 1") {
			require.EqualValues(t, 1, tr.object()["command_exit"])
			require.Contains(t, tr.stderr(), "sh exited 1 (--ok-exit)")
		} else {
			require.NotContains(t, tr.object(), "command_exit")
		}
	}
}

func TestManifest_IsStoredWithTheFile(t *testing.T) {
	tr := newTrial(t)
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("--manifest", "mem://x")...), tr.stderr())
	require.Equal(t, []string{"x", "x.manifest.json"}, tr.store.Names())
}
