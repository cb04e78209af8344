// Command pipe streams standard input, or the output of a command, into one file of a store. Run it with
// -h for its manual.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

// Exit codes. Scripts rely on them.
const (
	exitDone    = 0
	exitFailed  = 1 // the upload failed, nothing was finished
	exitUsage   = 2
	exitCommand = 3 // the command failed, nothing was finished
	exitUnknown = 4 // the file may be finished or not
)

func main() { os.Exit(run(os.Args[1:], processSystem())) }

// system is what the program has of the world.
type system struct {
	stdin  *os.File
	stdout io.Writer
	stderr *os.File // the command's too

	signals        <-chan os.Signal
	tick           func(time.Duration) <-chan time.Time
	setMemoryLimit func(bytes int64) int64
	schemes        []scheme
	transport      http.RoundTripper // of all stores; nil: of each one's own
	// waitDelay is how long a command has to end once it is told to, and how long what it leaves behind
	// may hold its output.
	waitDelay time.Duration
	// typedDelay is how long a command has to end by an interrupt typed at the terminal, before SIGTERM follows.
	typedDelay time.Duration
}

func processSystem() system {
	return system{
		stdin:          os.Stdin,
		stdout:         os.Stdout,
		stderr:         os.Stderr,
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
	con := newConsole(sys.stderr)
	if len(args) > 0 {
		all := subcommands()
		if i := slices.IndexFunc(all, func(s subcommand) bool { return s.name == args[0] }); i >= 0 {
			return runSubcommand(all[i], args[1:], sys, con)
		}
	}
	c, err := parseArgs(args, time.Now())
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(sys.stdout, manual(sys.schemes))
		return exitDone
	}
	if err == nil && c.command == nil && isTerminal(sys.stdin) {
		err = errors.New("standard input is a terminal; pipe something into it, or give a command after --")
	}
	if err != nil {
		return misused(con, err.Error())
	}
	j := newJob(c, sys, con)
	return j.report(j.supervise())
}

// misused says what is wrong with the arguments.
func misused(con *console, text string) int {
	con.printf("pipe: %s\nTry pipe -h.", text)
	return exitUsage
}

// supervise runs the upload and attends to signals and to the progress line.
func (j *job) supervise() result {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	outcome := make(chan result, 1)
	go func() { outcome <- j.upload(ctx) }()

	var ticks <-chan time.Time
	if !j.config.quiet {
		ticks = j.sys.tick(j.console.interval())
	}
	signalled := false
	for {
		select {
		case r := <-outcome:
			return r
		case <-ticks:
			if line := j.progress(); line != "" {
				j.console.status(line)
			}
		case s := <-j.sys.signals:
			if signalled {
				return j.leave(s)
			}
			signalled = true
			j.console.printf("pipe: %v: giving up; once more to leave at once", s)
			cancel(signalError{s})
		}
	}
}

// leave gives up without waiting for anything. The upload's goroutine ends with the process.
func (j *job) leave(s os.Signal) result {
	j.source.kill()
	r := result{err: leftError{s}, large: j.largeFile(), code: exitFailed}
	if j.finishing.Load() {
		r.code = exitUnknown
	}
	return r
}
