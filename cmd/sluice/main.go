// Command sluice streams standard input, or the output of a command, into one file of a store,
// and reads files back. Run "sluice help" for its manual.
package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"
)

// Exit codes. Scripts rely on them.
const (
	exitDone    = 0
	exitFailed  = 1 // the command failed; an upload finished nothing
	exitUsage   = 2
	exitCommand = 3 // CMD failed, nothing was finished
	exitUnknown = 4 // the file may be finished or not
)

// exit is the end of a command that has reported its failure itself.
type exit int

func (exit) Error() string { return "the failure is reported" }

func main() { os.Exit(run(os.Args[1:], processSystem())) }

// system is what the program has of the world.
type system struct {
	stdin  *os.File
	stdout io.Writer
	stderr *os.File // the command's too

	environ        []string         // of CMD, before the keys of DEST are taken out
	now            func() time.Time // of the start, by which dates in names go
	signals        <-chan os.Signal
	tick           func(time.Duration) <-chan time.Time
	setMemoryLimit func(bytes int64) int64
	schemes        []scheme
	transport      http.RoundTripper // of all stores; nil: of each one's own
	// waitDelay is how long a command has to end once it is told to, and how long what it
	// leaves behind may hold its output.
	waitDelay time.Duration
	// typedDelay is how long a command has to end by an interrupt typed at the terminal,
	// before SIGTERM follows.
	typedDelay time.Duration
}

func processSystem() system {
	return system{
		stdin:          os.Stdin,
		stdout:         os.Stdout,
		stderr:         os.Stderr,
		now:            time.Now,
		signals:        notifySignals(),
		tick:           time.Tick,
		setMemoryLimit: debug.SetMemoryLimit,
		schemes:        destinations(),
		waitDelay:      10 * time.Second,
		typedDelay:     5 * time.Second,
	}
}

// run is the whole program and returns its exit code.
func run(args []string, sys system) int {
	sys.environ = os.Environ() // which the file of settings adds to
	p := &program{sys: sys, console: newConsole(sys.stderr), now: sys.now()}
	root := p.root()
	args, err := arguments(root, args)
	running := root
	if err == nil {
		root.SetArgs(args)
		running, err = root.ExecuteC()
	}
	if p.settings.restore != nil {
		p.settings.restore()
	}
	var code exit
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	}
	p.console.json = p.console.json || asksForJSON(args)
	if errors.As(err, &usage) {
		p.console.errorf("sluice: %s\nTry %s -h.", flagNames.Replace(err.Error()), running.CommandPath())
		return exitUsage
	}
	p.console.errorf("sluice: %s", flagNames.Replace(err.Error()))
	return exitFailed
}
