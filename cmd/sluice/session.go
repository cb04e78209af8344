package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// session is one run of a command that reaches a store.
type session struct {
	sys      system
	console  *console
	outage   *outage
	dest     string // DEST, its time patterns replaced
	url      string // the same, with the URL of the destination that it names
	settings *settings

	timeout              time.Duration
	json, quiet, verbose bool
	config               string
	store                storeFlags
}

func (p *program) newSession() *session {
	return &session{sys: p.sys, console: p.console, settings: &p.settings}
}

// bind adds the flags that all such commands have, and the named ones of storeFlags.
func (s *session) bind(cmd *cobra.Command, now time.Time, names ...string) {
	s.store.bind(cmd, now, names...)
	failures := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(failures, "timeout", "DURATION", setAge(&s.timeout), "give up after 90s, 45m, 8h")
	addFlags(cmd, "Failures", failures)
	output := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(output, flagConfig, "FILE", setText(&s.config), "the file of named destinations and defaults; see sluice help config")
	output.BoolVar(&s.json, "json", false, "report in JSON; see sluice help output")
	output.BoolVarP(&s.quiet, "quiet", "q", false, "report errors only")
	output.BoolVarP(&s.verbose, "verbose", "v", false, "report every part and retry")
	addValue(output, "log-format", "text|json", s.setLogFormat, "json makes each line on standard error an object; see sluice help output")
	output.BoolP("help", "h", false, "show this help")
	addFlags(cmd, "Output", output)
}

// setLogFormat takes effect at once, so that an error in what follows has the format too.
func (s *session) setLogFormat(text string) error {
	var format string
	err := setChoice(&format, "text|json")(text)
	s.console.json = format == "json"
	return err
}

// begin takes DEST and the flags that concern what is printed.
func (s *session) begin(dest string) error {
	if s.quiet && s.verbose {
		return usagef("-q and -v contradict each other")
	}
	s.dest, s.url = dest, s.settings.url(dest)
	s.console.verbose, s.console.dest = s.verbose, dest
	s.outage = newOutage(s.console, s.quiet, s.store.patient)
	return nil
}

// open opens DEST.
func (s *session) open(ctx context.Context) (*destination, error) {
	return openDest(ctx, s.sys.schemes, s.url, opening{
		flags: &s.store, log: logger(s.console, s.outage), transport: s.sys.transport,
	})
}

// watched is what supervise looks at while work goes on. Its methods may be called concurrently
// with that.
type watched interface {
	// progress returns the progress line, "" while there is none, and its figures.
	progress() (line string, figures []slog.Attr)
	moved() int64       // bytes so far
	waitingFor() string // what that waits for
}

// unwatched is work that has no progress: it waits for the store.
type unwatched struct{}

func (unwatched) progress() (string, []slog.Attr) { return "", nil }
func (unwatched) moved() int64                    { return 0 }
func (unwatched) waitingFor() string              { return "the store" }

// run opens DEST for a command that a store need not have, and runs work on it.
func (s *session) run(cmd *cobra.Command, dest string, w watched, work func(context.Context, *destination) error) error {
	if err := s.begin(dest); err != nil {
		return err
	}
	row, _, err := findScheme(s.sys.schemes, s.url)
	if err != nil {
		return err
	}
	if !slices.Contains(row.commands, cmd.Name()) {
		return usagef("%s:// has no command %s: it is %s", row.name, cmd.Name(), row.about)
	}
	return supervise(s, w, func(ctx context.Context) error {
		d, err := s.open(ctx)
		if err != nil {
			return err
		}
		return work(ctx, d)
	}, func(got os.Signal) error { return leftError{got} })
}

// supervise runs work, and attends to signals and to the progress line meanwhile. The first
// signal ends the context. After the second one supervise returns what leave does, and the
// goroutine of work ends with the process.
func supervise[T any](s *session, w watched, work func(context.Context) T, leave func(os.Signal) T) T {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if d := s.timeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("--timeout %v has passed", d))
		defer cancel()
	}
	outcome := make(chan T, 1)
	go func() { outcome <- work(ctx) }()

	var ticks, looks <-chan time.Time
	var silent silence
	if !s.quiet {
		ticks = s.sys.tick(s.console.interval())
		looking := time.NewTicker(time.Second)
		defer looking.Stop()
		looks = looking.C
	}
	signalled := false
	for {
		select {
		case r := <-outcome:
			return r
		case <-ticks:
			if line, figures := w.progress(); line != "" {
				s.console.status(line, figures...)
			}
		case now := <-looks:
			if text := silent.look(now, w.moved(), w.waitingFor(), s.outage.failure()); text != "" {
				s.console.warnf("%s", text)
			}
		case got := <-s.sys.signals:
			if signalled {
				return leave(got)
			}
			signalled = true
			s.console.warnf("sluice: %v: cancelling; a second one exits immediately", got)
			cancel(signalError{got})
		}
	}
}
