package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// TestShellCanServeAndStop builds the program, reads its output in a shell, logs in, and ends
// it by a signal.
func TestShellCanServeAndStop(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "b2server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.CommandContext(t.Context(), binary, "-bucket", "from-shell", "-fault", "call=b2_list_buckets,status=503")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	var exports strings.Builder
	lines := bufio.NewScanner(stdout)
	for range 4 {
		require.True(t, lines.Scan())
		require.Regexp(t, `^export B2_[A-Z_]+='[^']*'$`, lines.Text())
		exports.WriteString(lines.Text() + "\n")
	}
	shell, err := exec.CommandContext(t.Context(), "sh", "-c",
		exports.String()+`printf '%s\n' "$B2_ENDPOINT" "$B2_APPLICATION_KEY_ID" "$B2_APPLICATION_KEY" "$B2_BUCKET"`).Output()
	require.NoError(t, err)
	env := strings.Fields(string(shell))
	require.Len(t, env, 4)
	require.Equal(t, "from-shell", env[3])

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env[0]+"/b2api/v4/b2_authorize_account", nil)
	require.NoError(t, err)
	req.SetBasicAuth(env[1], env[2])
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.False(t, lines.Scan(), "nothing but the exports on stdout: %s", lines.Text())
	require.NoError(t, cmd.Wait())
	require.Contains(t, stderr.String(), "serving at "+env[0])
	require.Contains(t, stderr.String(), "fault 1 met 0 requests")
	require.NotContains(t, stderr.String(), env[2], "the key is for stdout only")
}

func TestEndOfContextEndsServing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(ctx, nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "export B2_BUCKET='demo-bucket'\n")
}

func TestExpose_WarnsLoudly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// at a loopback address all the same
	for exposed, args := range map[bool][]string{false: nil, true: {"-expose"}} {
		var stdout, stderr bytes.Buffer
		require.Zero(t, run(ctx, args, &stdout, &stderr))
		require.Equal(t, exposed, strings.Contains(stderr.String(), "WARNING: it is a server for tests"))
	}
}

func TestHelpSaysEveryFlagAndKind(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	require.Empty(t, stderr.String())
	require.True(t, strings.HasPrefix(stdout.String(), "usage: b2server [flags]\n"))
	for _, word := range []string{
		"-addr", "-expose", "-bucket", "-discard", "-trust-sha1", "-latency", "-bandwidth", "-min-part-size", "-fault",
		string(b2test.RefuseEarly), string(b2test.VaultFull), string(b2test.WrongLength), string(b2test.DropMidBody),
	} {
		require.Contains(t, stdout.String(), word)
	}
}

func TestMistakesInFlagsAreNamed(t *testing.T) {
	for text, tc := range map[string]struct {
		args []string
		exit int
	}{
		"unexpected argument \"extra\"":    {[]string{"extra"}, 2},
		"flag provided but not defined":    {[]string{"-unknown"}, 2},
		"no key \"unknown\"":               {[]string{"-fault", "unknown=1"}, 2},
		"\"stall\" is not key=value":       {[]string{"-fault", "stall"}, 2},
		"part: strconv.Atoi":               {[]string{"-fault", "part=x"}, 2},
		"b2test: no fault kind \"worse\"":  {[]string{"-fault", "kind=worse"}, 1},
		"MinPartSize -1":                   {[]string{"-min-part-size", "-1"}, 1},
		"may be reached by other machines": {[]string{"-addr", ":0"}, 1},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, tc.exit, run(t.Context(), tc.args, &stdout, &stderr), text)
		require.Contains(t, stderr.String(), text)
		require.Empty(t, stdout.String())
	}
}

func TestFaultSyntaxReachesEveryField(t *testing.T) {
	f, err := parseFault("call=b2_upload_part,part=3,skip=1,count=-1,kind=slow-body,status=503,code=c,message=m m,retry-after=7,rate=9,delay=2s")
	require.NoError(t, err)
	require.Equal(t, b2test.Fault{
		Call: "b2_upload_part", Part: 3, Skip: 1, Count: -1, Kind: b2test.SlowBody, Status: 503, Code: "c", Message: "m m",
		RetryAfter: "7", Rate: 9, Delay: 2 * time.Second,
	}, f)
}

func TestQuotingSurvivesAShell(t *testing.T) {
	const text = `a'b "c" $d`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("printf %%s %s", quote(text))).Output()
	require.NoError(t, err)
	require.Equal(t, text, string(out))
}
