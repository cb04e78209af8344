//go:build unix

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// A shell closes the program's standard input, or gives it the null device.
func TestClosedStandardInput_IsWrongUsage(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	shell := func(command string) (exit int, output string) {
		c := exec.CommandContext(t.Context(), "sh", "-c", command, "sh", binary)
		c.Env = childEnv("sluice")
		out, err := c.CombinedOutput()
		if err != nil {
			require.IsType(t, &exec.ExitError{}, err)
		}
		return c.ProcessState.ExitCode(), string(out)
	}
	exit, output := shell(`exec "$1" mem://x <&-`)
	require.Equal(t, exitUsage, exit, output)
	require.Contains(t, output, "standard input is closed")

	exit, output = shell(`exec "$1" mem://x </dev/null`)
	require.Equal(t, exitDone, exit, "an empty stream that is given on purpose: %s", output)

	exit, output = shell(`exec "$1" mem://x -- echo y <&-`)
	require.Equal(t, exitDone, exit, "a command needs no standard input: %s", output)
}
