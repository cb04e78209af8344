package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASignalIgnoredAtTheStartStaysIgnored(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command("sh", "-c", `trap '' HUP; exec "$0" mem://x`, binary) // as nohup does
	c.Env = childEnv("sluice")
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	said := lines(stderr)
	await(t, said, "takes up to")
	require.True(t, ignores(t, c.Process.Pid, syscall.SIGHUP))
	require.False(t, ignores(t, c.Process.Pid, syscall.SIGTERM))
	require.NoError(t, c.Process.Signal(syscall.SIGHUP))
	stdin.Close()
	await(t, said, "is stored")
	require.NoError(t, c.Wait())
}

// ignores asks the kernel.
func ignores(t *testing.T, pid int, s syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^SigIgn:\s*([0-9a-f]+)$`).FindSubmatch(status)
	require.NotNil(t, found)
	mask, err := strconv.ParseUint(string(found[1]), 16, 64)
	require.NoError(t, err)
	return mask&(1<<(s-1)) != 0
}
