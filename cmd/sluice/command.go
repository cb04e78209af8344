package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// command is CMD. Its output ends with io.EOF only if it exits 0: a failing CMD is a source
// that fails, so that nothing is ever finished. Standard input and standard error are passed
// through.
//
// It is in the process group of sluice and keeps the terminal, so that it can ask for a
// password. Hence a terminal's SIGINT reaches it without help, and so does everything it has
// started.
type command struct {
	cmd    *exec.Cmd
	ctx    context.Context // its cause says why the command is to end
	cancel context.CancelCauseFunc
	delay  time.Duration
	typed  time.Duration

	output  *os.File // read end of the pipe
	exited  chan struct{}
	okExits []int     // statuses that count as success, beside 0
	status  int       // its exit status; stands once exited is closed
	err     error     // how it ended; likewise
	endedAt time.Time // likewise
	late    int64     // bytes read after that, by Read

	mu      sync.Mutex // start and kill
	started bool
	killed  bool
}

// commandError is that the command failed: exit code 3 unless something else failed before.
type commandError struct {
	name string
	err  error
}

func (e *commandError) Error() string { return fmt.Sprintf("command %s: %v", e.name, e.err) }
func (e *commandError) Unwrap() error { return e.err }

// pipeSize is what the pipe between the command and sluice holds, in bytes, at most.
const pipeSize = 1 << 20

// errOutputHeld is what a command fails with that ended well but left others writing.
var errOutputHeld = errors.New("it has exited, but what it started still holds its output, which may not be whole")

// newCommand returns the command, not started, whose environment lacks the
// variables of the withheld names.
func newCommand(args, withheld []string, sys system) *command {
	c := &command{delay: sys.waitDelay, typed: sys.typedDelay, exited: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.cmd = exec.CommandContext(c.ctx, args[0], args[1:]...)
	c.cmd.Stdin, c.cmd.Stderr = sys.stdin, sys.stderr
	c.cmd.Env = slices.DeleteFunc(slices.Clone(sys.environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(withheld, name)
	})
	c.cmd.Cancel = c.tell
	c.cmd.WaitDelay = sys.waitDelay // from tell to SIGKILL
	return c
}

// start starts the command. A command that cannot be started has failed.
func (c *command) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, w, err := os.Pipe()
	if err == nil {
		defer w.Close() // the command has its own
		enlargePipe(r)
		c.output, c.cmd.Stdout = r, w
		err = c.cmd.Start()
	}
	if err != nil {
		close(c.exited)
		return c.fail(err)
	}
	c.started = true
	if c.killed {
		_ = c.cmd.Process.Kill()
	}
	go c.watch()
	return nil
}

// watch files how the command ended. Its output is then due to end too: at once if it failed.
func (c *command) watch() {
	err := c.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		if c.status = e.ExitCode(); slices.Contains(c.okExits, c.status) {
			err = nil
		}
	}
	if err == nil && c.ctx.Err() != nil {
		err = context.Cause(c.ctx)
	}
	c.err, c.endedAt = err, time.Now()
	due := c.endedAt
	if err == nil {
		due = due.Add(c.delay)
	}
	_ = c.output.SetReadDeadline(due)
	close(c.exited)
}

// Read reads the output. It keeps the end back until the command has exited.
func (c *command) Read(p []byte) (int, error) {
	late := c.hasExited()
	if late {
		c.renew()
	}
	n, err := c.output.Read(p)
	if late {
		c.late += int64(n)
	}
	if n > 0 || err == nil {
		return n, nil
	}
	<-c.exited
	switch {
	case c.err != nil:
		return 0, c.fail(c.err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, c.fail(fmt.Errorf("%w (waited %v)", errOutputHeld, c.delay))
	case err != io.EOF:
		return 0, c.fail(err)
	}
	return 0, io.EOF
}

func (c *command) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// renew gives the output of a command that exited well more time, because it may be the reader
// that is slow: what was in the pipe is read however long that takes. A process left behind
// that writes on and on is not.
func (c *command) renew() {
	if c.err == nil && (c.late <= pipeSize || time.Since(c.endedAt) <= c.delay) {
		_ = c.output.SetReadDeadline(time.Now().Add(c.delay))
	}
}

// stop tells the command to end because of cause, and closes the pipe, so that writing ends it
// too. If it goes on for c.delay it is killed.
func (c *command) stop(cause error) {
	c.cancel(cause)
	if c.output != nil {
		_ = c.output.Close()
	}
}

// tell sends what ends the command: the signal that sluice got, or SIGTERM.
func (c *command) tell() error {
	var s signalError
	switch {
	case !errors.As(context.Cause(c.ctx), &s):
		return sendSignal(c.cmd.Process, syscall.SIGTERM)
	case s.Signal == os.Interrupt && inForeground():
		// Most likely typed at the terminal, and then the command has it already. One sent to
		// sluice alone looks the same: SIGTERM follows for a command that went on.
		time.AfterFunc(c.typed, func() { _ = sendSignal(c.cmd.Process, syscall.SIGTERM) })
		return nil
	}
	return sendSignal(c.cmd.Process, s.Signal)
}

// kill ends the command at once.
func (c *command) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.started {
		_ = c.cmd.Process.Kill()
	}
}

func (c *command) fail(err error) error { return &commandError{c.cmd.Args[0], err} }
