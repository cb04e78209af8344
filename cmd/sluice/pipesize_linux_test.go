package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestThePipesOfStandardInputAndOfTheCommandAreEnlarged(t *testing.T) {
	tr := newTrial(t)
	stdin, _ := tr.openStdin()
	require.NoError(t, newSource(&config{session: &session{sys: tr.sys}}).start())
	command := newSource(&config{session: &session{sys: tr.sys}, command: []string{"true"}})
	require.NoError(t, command.start())
	for _, fd := range []uintptr{stdin.Fd(), command.command.output.Fd()} {
		n, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		require.NoError(t, err)
		require.Equal(t, pipeSize, n)
	}
	command.wait()
}
