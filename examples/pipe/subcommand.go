package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// A subcommand works on what is in a store already. Which scheme has which is in the table of schemes.
type subcommand struct {
	name  string
	flags func(*request, *flag.FlagSet)
	store []string // storeFlags that it takes
	check func(*request) error
	run   func(context.Context, *request, *destination) error
}

func subcommands() []subcommand {
	return []subcommand{
		{commandGet, getFlags, []string{flagPatient, flagSSE, flagSSEKeyFile, flagEndpoint, flagPathStyle}, checkGet, get},
		{commandUnfinished, unfinishedFlags, []string{flagPatient, flagEndpoint, flagPathStyle}, checkUnfinished, unfinished},
		{commandCancel, cancelFlags, []string{flagPatient, flagEndpoint, flagPathStyle}, checkCancel, cancel},
	}
}

const (
	commandGet        = "get"
	commandUnfinished = "unfinished"
	commandCancel     = "cancel"
)

// request is what the arguments of a subcommand say.
type request struct {
	dest                 string
	ids                  []string // after DEST
	timeout              time.Duration
	json, quiet, verbose bool
	store                storeFlags
	now                  time.Time

	sha256, sha1 []byte // that get has to find, nil if not given

	older    time.Duration // of unfinished and cancel
	olderSet bool
	prefix   bool // of cancel
	parts    bool // of unfinished

	stdout  io.Writer
	console *console
	outage  *outage
	arrival atomic.Pointer[arrival] // of get, nil before the first byte
}

// runSubcommand is the program under another name. args are what comes after it.
func runSubcommand(s subcommand, args []string, sys system, con *console) int {
	r := &request{now: time.Now(), stdout: sys.stdout, console: con}
	err := s.parse(r, args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(sys.stdout, manual(sys.schemes))
		return exitDone
	}
	con.verbose = r.verbose
	r.outage = newOutage(con, r.quiet)
	var row scheme
	if err == nil {
		row, _, err = findScheme(sys.schemes, r.dest)
	}
	if err == nil && !slices.Contains(row.commands, s.name) {
		err = fmt.Errorf("%s:// has no subcommand %s: it is %s", row.name, s.name, row.about)
	}
	if err != nil {
		return misused(con, err.Error())
	}
	err = s.supervise(r, sys)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return misused(con, err.Error())
	case err != nil:
		con.printf("pipe: %v", err)
		return exitFailed
	}
	return exitDone
}

func (s subcommand) parse(r *request, args []string) error {
	fs := newFlagSet()
	fs.Func("timeout", "", setAge(&r.timeout))
	fs.BoolVar(&r.json, "json", false, "")
	fs.BoolVar(&r.quiet, "q", false, "")
	fs.BoolVar(&r.verbose, "v", false, "")
	s.flags(r, fs)
	r.store.bind(fs, r.now, s.store...)
	names, err := parseMixed(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return fmt.Errorf("pipe %s needs a DEST", s.name)
	case r.quiet && r.verbose:
		return errors.New("-q and -v contradict each other")
	}
	r.ids = names[1:]
	if r.dest, err = expandTime(names[0], r.now); err != nil {
		return err
	}
	return s.check(r)
}

// supervise runs the subcommand until it is done, and gives it up at a signal.
func (s subcommand) supervise(r *request, sys system) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	outcome := make(chan error, 1)
	go func() { outcome <- s.perform(ctx, r, sys) }()
	var ticks <-chan time.Time
	if !r.quiet {
		ticks = sys.tick(r.console.interval())
	}
	var recent arrivals
	signalled := false
	for {
		select {
		case err := <-outcome:
			return err
		case <-ticks:
			if a := r.arrival.Load(); a != nil {
				r.console.status(recent.line(a))
			}
		case got := <-sys.signals:
			if signalled {
				return leftError{got} // its goroutine ends with the process
			}
			signalled = true
			r.console.printf("pipe: %v: giving up; once more to leave at once", got)
			cancel(signalError{got})
		}
	}
}

func (s subcommand) perform(ctx context.Context, r *request, sys system) error {
	if d := r.timeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("-timeout %v has passed", d))
		defer cancel()
	}
	d, err := openDest(ctx, sys.schemes, r.dest, opening{
		flags: &r.store, log: logger(r.console, r.outage, &r.store), transport: sys.transport,
	})
	if err != nil {
		return err
	}
	return s.run(ctx, r, d)
}
