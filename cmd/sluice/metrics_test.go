package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A failure keeps the time of the last success, under the name of DEST as it was given.
func TestMetrics_KeepTheLastSuccessAfterAFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.prom")
	read := func() string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	success := regexp.MustCompile(`(?m)^sluice_last_success_timestamp_seconds\{destination="mem://\{time:%F\}"\} (\d+)$`)
	dest := "mem://{time:%F}"
	tr := newTrial(t)
	require.Equal(t, exitCommand, tr.run(args("--metrics", path, dest, "--", "false")...))
	require.Equal(t, "0", success.FindStringSubmatch(read())[1])

	tr = newTrial(t)
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("--metrics", path, dest)...), tr.stderr())
	text := read()
	for _, line := range []string{
		`sluice_exit_status\{destination="mem://\{time:%F\}"\} 0`, `sluice_file_bytes\{.*\} 3000000`, `sluice_parts\{.*\} 3`,
		`# TYPE sluice_retries gauge`, `sluice_duration_seconds\{.*\} 0\.\d+`,
	} {
		require.Regexp(t, "(?m)^"+line+"$", text)
	}
	at := success.FindStringSubmatch(text)[1]
	require.NotEqual(t, "0", at)

	tr = newTrial(t)
	require.Equal(t, exitCommand, tr.run(args("--metrics", path, dest, "--", "false")...))
	require.Equal(t, at, success.FindStringSubmatch(read())[1])
	require.Regexp(t, `(?m)^sluice_exit_status\{.*\} 3$`, read())
	require.Regexp(t, `(?m)^sluice_file_bytes\{.*\} 0$`, read())

	tr = newTrial(t)
	require.Equal(t, exitDone, tr.run(args("--metrics", filepath.Join(path, "x"), dest)...), "the file is stored")
	require.Contains(t, tr.stderr(), "sluice: --metrics: ")
}
