//go:build unix

package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
)

// signalOnce closes c when a call of the kind begins.
func signalOnce(c chan struct{}, kind faults.Kind) *faults.Injector {
	var once sync.Once
	return faults.Do(func(context.Context, faults.Op) error {
		once.Do(func() { close(c) })
		return nil
	}, faults.OnKind(kind))
}

// child is the program as a process of its own.
type child struct {
	*exec.Cmd
	t      *testing.T
	stdin  io.WriteCloser
	stderr <-chan string
}

func startChild(t *testing.T, as string, attr *syscall.SysProcAttr, args ...string) *child {
	binary, err := os.Executable()
	require.NoError(t, err)
	c := &child{Cmd: exec.Command(binary, args...), t: t}
	c.Env = childEnv(as)
	c.SysProcAttr = attr
	c.stdin, err = c.StdinPipe()
	require.NoError(t, err)
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() })
	c.stderr = lines(stderr)
	return c
}

// code is the exit code, once standard error has ended: no process holds it any more.
func (c *child) code() int {
	for range c.stderr {
	}
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(c.t, err, &exit)
	}
	return c.ProcessState.ExitCode()
}

func TestASignalEndsTheUploadOfStandardInput(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, os.Interrupt} {
		c := startChild(t, "sluice", nil, args("mem://x")...)
		await(t, c.stderr, "takes up to")
		require.NoError(t, c.Process.Signal(s))
		await(t, c.stderr, s.String()+": cancelling")
		await(t, c.stderr, "signal: "+s.String())
		require.Equal(t, exitFailed, c.code())
	}
}

func TestASignalIsPassedOnToTheCommand(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		c := startChild(t, "sluice", nil, append([]string{"mem://x", "--"}, reporter(t, "signal reporter")...)...)
		await(t, c.stderr, "ready")
		require.NoError(t, c.Process.Signal(s))
		await(t, c.stderr, "got "+s.String())
		require.Equal(t, exitFailed, c.code())
	}
}

func TestAnInterruptSentWithoutATerminalIsPassedOnToTheCommand(t *testing.T) {
	c := startChild(t, "sluice", &syscall.SysProcAttr{Setsid: true},
		append([]string{"mem://x", "--"}, reporter(t, "signal reporter")...)...)
	await(t, c.stderr, "ready")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	await(t, c.stderr, "got interrupt")
	// the second one ends it at once: the reporter goes on after an interrupt
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitFailed, c.code())
}

func TestASecondSignalKillsTheCommandAndLeavesAtOnce(t *testing.T) {
	c := startChild(t, "sluice", nil, append([]string{"mem://x", "--"}, reporter(t, "stubborn signal reporter")...)...)
	await(t, c.stderr, "ready")
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	await(t, c.stderr, "got terminated")
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	await(t, c.stderr, "second signal: terminated")
	require.Equal(t, exitFailed, c.code())
}

func TestASecondSignalNamesTheLargeFileThatMayBeLeft(t *testing.T) {
	cancelling, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	tr := newTrial(t, signalOnce(cancelling, faults.Cancel), faults.Do(func(context.Context, faults.Op) error {
		<-never
		return nil
	}, faults.OnKind(faults.Cancel)))
	started := make(chan struct{})
	tr.faulty = faults.New(tr.faulty, signalOnce(started, faults.UploadPart))
	_, w := tr.openStdin()
	go func() { _, _ = w.Write(noise(3_000_000)) }()
	go func() {
		<-started
		tr.signals <- syscall.SIGTERM
		<-cancelling
		tr.signals <- syscall.SIGTERM
	}()
	require.Equal(t, exitFailed, tr.run(args("mem://x")...))
	require.Contains(t, tr.stderr(), "large file mem-1 may be left unfinished")
	require.Equal(t, "mem-1", tr.object()["large_file"])
}

func TestASecondSignalWhileTheFileIsBeingFinishedExitsWith4(t *testing.T) {
	finishing, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	tr := newTrial(t, signalOnce(finishing, faults.Finish), faults.Do(func(context.Context, faults.Op) error {
		<-never
		return nil
	}, faults.OnKind(faults.Finish)))
	tr.stdin(noise(3_000_000))
	go func() {
		<-finishing
		tr.signals <- syscall.SIGTERM
		tr.signals <- syscall.SIGTERM
	}()
	require.Equal(t, exitUnknown, tr.run(args("mem://x")...))
	require.Contains(t, tr.stderr(), "mem-1")
}

func TestALogReaderThatGoesAwayDoesNotEndTheUpload(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(binary, "mem://x")
	c.Env = childEnv("sluice")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	c.Stderr = w
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, c.Start())
	w.Close()
	stdin.Close()
	require.NoError(t, c.Wait())
}
