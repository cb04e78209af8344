// Command bench measures what a stream costs on this machine, beside what the
// machine can do at most. It needs no account: it brings a B2 server of its
// own.
//
//	go run ./bench -quick              seconds, to see that it works
//	go run ./bench                     everything but links
//	go run ./bench links               uploads that adapt to the network, alongside fixed numbers
//	go run ./bench -targets            the promises, each with its figure
//	go run ./bench -profile profiles   where the processor's time goes
//	go run ./bench -o docs paths fair  two groups, into docs/PERFORMANCE.md
//
// Every job, every raw limit and every server runs in a process of its own,
// which is this program again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

var roles = lab.Roles{toB2: lab.PlayB2, "stream": playStream, "source": lab.PlaySource, "limit": playLimit}

func main() { lab.Main(roles, run) }

// command is what the flags ask for.
type command struct {
	settings
	groups  []string // names
	rounds  int
	only    *regexp.Regexp
	args    []string
	json    string // file
	docs    string // folder
	profile string // folder
	promise bool   // the targets in place of groups
	rows    []row
	targets []target
}

// run is the program: 0 is success, 1 a failure or a target that was missed, 2 a mistake in args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2 // parse has said why
	}
	if err := c.check(ctx); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	met, err := c.measure(ctx, stdout, lab.NewProgress(stderr))
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	if err != nil || !met {
		return 1
	}
	return 0
}

// measure is false if a target was missed.
func (c *command) measure(ctx context.Context, stdout io.Writer, talk *lab.Progress) (bool, error) {
	if c.profile != "" {
		s, err := profileRows(ctx, c.rows, c.profile, c.rounds, talk)
		if err != nil {
			return false, err
		}
		return true, c.tell(stdout, []section{s})
	}
	samples, err := runRounds(ctx, jobs(c.rows), c.rounds, talk)
	if err != nil {
		return false, err
	}
	r := newResult(c.args, c.rows, c.rounds, samples)
	if c.json != "" {
		if err := r.writeJSON(c.json); err != nil {
			return false, err
		}
	}
	sections, met := r.sections(), true
	if c.promise {
		var s section
		s, met = targetSection(c.targets, r)
		sections = append(sections, s)
	}
	return met, c.tell(stdout, sections)
}

// tell writes what was measured, and puts it into the documents if that is wanted.
func (c *command) tell(stdout io.Writer, sections []section) error {
	header := lab.Header(lab.Shell(append([]string{"go", "run", "./bench"}, c.args...)...), c.rounds)
	fmt.Fprintf(stdout, "%s\n\n", header)
	for _, s := range sections {
		if err := s.text(stdout); err != nil {
			return err
		}
	}
	if c.docs == "" {
		return nil
	}
	return report(c.docs, header, sections)
}
