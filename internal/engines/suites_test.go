//go:build unix

package engines

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// suite is the tests that others wrote of their own clients, which are run against b2server.
type suite struct {
	source
	least    int // how many tests pass, at least
	args     []string
	expected map[string]string // tests that fail, with the reason
	// patch changes a file, given the server's URL, where the client knows no other server.
	patch func(text, url string) string
	file  string
}

// The tests of rclone and of blazer, Backblaze's own client in Go.
var suites = map[string]suite{
	"rclone": {
		source: source{
			module: "github.com/rclone/rclone", version: "v1.75.1", pkg: "./backend/b2",
			sum: "h1:kIxQcoDLj2Gke/gMSHK7OnxhX1Gu1cJBLP1kJZoaFp0=",
		},
		least: 180, args: []string{"-remote", "TestB2:"},
	},
	"blazer, base": {
		source: blazer("./base"), least: 7, file: "base/base.go", patch: otherService,
		// It counts on a request that hangs having come to the server before the next one.
		args:     []string{"-test.skip=^TestUploadAuthAfterConnectionHang$"},
		expected: map[string]string{"TestUnknownCA": "the server has no certificate: it is asked over plain http"},
	},
	"blazer, b2": {
		source: blazer("./b2"), least: 37, file: "base/base.go", patch: otherService,
		// Its writer now and then uses a buffer that its end has taken away, and panics.
		args: []string{"-test.skip=^TestResumeWriter$"},
	},
}

func blazer(pkg string) source {
	return source{
		module: "github.com/Backblaze/blazer", version: "v0.7.2", pkg: pkg,
		sum: "h1:UWNHMLB+Nf+UmbO2qkVvgriODLEMz4kIyr2Hm+DVXQM=",
	}
}

func otherService(text, url string) string {
	return strings.Replace(text, "https://api.backblazeb2.com", url, 1)
}

// verdict is a line of a test's outcome.
var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL): (\S+)`)

// TestSuites takes minutes to build what it runs, so it is left to make nightly.
func TestSuites_OfOtherClientsPassOnB2Server(t *testing.T) {
	if os.Getenv("SLUICE_TEST_SUITES") != "all" {
		t.Skip("NOT TESTED: make nightly runs the suites of other clients")
	}
	for name, s := range suites {
		t.Run(name, func(t *testing.T) { s.run(t) })
	}
}

func (s suite) run(t *testing.T) {
	env := b2Server(t)
	files, err := s.download(t.Context())
	require.NoError(t, err)
	if s.patch != nil {
		copied := filepath.Join(t.TempDir(), "module")
		require.NoError(t, os.CopyFS(copied, os.DirFS(files)))
		files = copied
		path := filepath.Join(files, s.file)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		patched := s.patch(string(text), env["B2_ENDPOINT"])
		require.NotEqual(t, string(text), patched)
		require.NoError(t, os.WriteFile(path, []byte(patched), 0o600))
	}
	program := filepath.Join(t.TempDir(), "suite.test")
	_, err = run(t.Context(), files, "go", "test", "-c", "-o", program, s.pkg)
	require.NoError(t, err)

	cmd := exec.CommandContext(t.Context(), program, append([]string{"-test.v", "-test.timeout", "20m"}, s.args...)...)
	cmd.Dir = filepath.Join(files, s.pkg)
	id, key := env["B2_APPLICATION_KEY_ID"], env["B2_APPLICATION_KEY"]
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "B2_ACCOUNT_ID=" + id, "B2_SECRET_KEY=" + key,
		"RCLONE_CONFIG=" + filepath.Join(t.TempDir(), "none"), "RCLONE_CONFIG_TESTB2_TYPE=b2", "RCLONE_CONFIG_TESTB2_ACCOUNT=" + id,
		"RCLONE_CONFIG_TESTB2_KEY=" + key, "RCLONE_CONFIG_TESTB2_ENDPOINT=" + env["B2_ENDPOINT"],
	}
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		require.NoError(t, err)
	}
	passed, failed := 0, []string{}
	for _, line := range verdict.FindAllStringSubmatch(string(out), -1) {
		if line[1] == "PASS" {
			passed++
		} else {
			failed = append(failed, line[2])
		}
	}
	t.Logf("%d tests pass, and these fail: %v", passed, failed)
	require.ElementsMatch(t, slices.Sorted(maps.Keys(s.expected)), failed, "%s", out)
	require.GreaterOrEqual(t, passed, s.least, "%s", out)
}

// b2Server runs b2server until the test ends, and returns the variables that it prints.
func b2Server(t *testing.T) map[string]string {
	program := filepath.Join(t.TempDir(), "b2server")
	_, err := run(t.Context(), ".", "go", "build", "-o", program, "../../cmd/b2server")
	require.NoError(t, err)
	// The process is ended by stop, and not by a context that ends before its output is read.
	p, err := begin(exec.CommandContext(context.WithoutCancel(t.Context()), program))
	require.NoError(t, err)
	t.Cleanup(p.stop)
	env := make(map[string]string)
	require.NoError(t, p.until(t.Context(), func() bool {
		lines := bufio.NewScanner(bytes.NewReader([]byte(p.output.String())))
		for lines.Scan() {
			if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok {
				env[name] = strings.Trim(value, "'")
			}
		}
		return strings.HasSuffix(p.output.String(), "\n") && env["B2_BUCKET"] != ""
	}))
	return env
}
