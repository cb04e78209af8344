// Command bench measures what a stream costs on this machine, beside what the machine can do at most. It needs no
// account: it brings a B2 server of its own.
//
//	go run ./bench -quick              seconds, to see that it works
//	go run ./bench                     everything but links
//	go run ./bench links               uploads that follow a line by themselves, beside fixed numbers
//	go run ./bench -targets            the promises, each with its figure
//	go run ./bench -profile profiles   where the processor's time goes
//	go run ./bench -o docs paths fair  two groups, into docs/PERFORMANCE.md
//
// Every job, every raw limit and every server runs in a process of its own, which is this program again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

var roles = lab.Roles{"b2": lab.PlayB2, "stream": playStream, "source": lab.PlaySource, "limit": playLimit}

func main() {
	if roles.Play(os.Args) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is what the flags ask for.
type command struct {
	settings
	groups  []string // names
	rounds  int
	only    *regexp.Regexp
	args    []string
	json    string
	docs    string
	profile string
	targets bool
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
	ok, err := c.measure(ctx, stdout, newProgress(stderr))
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	if err != nil || !ok {
		return 1
	}
	return 0
}

// measure is false if a target was missed.
func (c *command) measure(ctx context.Context, stdout io.Writer, talk *progress) (bool, error) {
	var rows []row
	var targets []target
	if c.targets {
		targets = c.settings.targets()
		rows = targetRows(targets)
	} else {
		for _, g := range groups {
			if slices.Contains(c.groups, g.name) {
				rows = append(rows, g.rows(c.settings)...)
			}
		}
	}
	if rows = only(rows, c.only); len(rows) == 0 {
		return false, fmt.Errorf("-only %v matches no row", c.only)
	}
	var sections []section
	met := true
	if c.profile != "" {
		s, err := profileRows(ctx, rows, c.profile, c.rounds, talk)
		if err != nil {
			return false, err
		}
		sections = append(sections, s)
	} else {
		samples, err := runRounds(ctx, jobs(rows), c.rounds, talk)
		if err != nil {
			return false, err
		}
		r := newResult(rows, c.rounds, samples)
		if c.json != "" {
			if err := r.writeJSON(c.json); err != nil {
				return false, err
			}
		}
		if sections = r.sections(); c.targets {
			var s section
			s, met = targetSection(targets, r)
			sections = append(sections, s)
		}
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

// parse reads the flags, and writes what is wrong with them, or the help asked for, to stderr.
func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{settings: defaults(), only: regexp.MustCompile(""), args: args}
	var changes []func() // of single settings, made once it is known which set they change
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("quick", false, "short streams, few rows, one round: it takes seconds, and the figures mean little")
	flags.IntVar(&c.rounds, "rounds", 0, "how often everything is measured, in turns: `number` (default 5, with -quick 1)")
	flags.BoolVar(&c.targets, "targets", false, "measure what docs/PERFORMANCE.md promises; a miss exits with 1")
	flags.StringVar(&c.json, "json", "", "write every figure to a `file`")
	flags.StringVar(&c.docs, "o", "", "put tables and pictures into the PERFORMANCE.md of a `folder`")
	flags.StringVar(&c.profile, "profile", "", "run the streams under a CPU profile instead, written into a `folder`, and tell where the time goes")
	value(flags, "only", "only rows whose names match the `regexp`", regexp.Compile, func(v *regexp.Regexp) { c.only = v })
	change := func(f func()) { changes = append(changes, f) }
	value(flags, "size", "`length` of a stream (default 2GiB)", size.Parse, func(v int64) { change(func() { c.size = v }) })
	value(flags, "parts", "part `sizes` (default 5MiB,16MiB)", list(size.Parse), func(v []int64) { change(func() { c.parts = v }) })
	value(flags, "concurrency", "uploads at once, 0 for what the writer chooses: `numbers` (default 1,4,16,0)", list(strconv.Atoi),
		func(v []int) { change(func() { c.concurrency = v }) })
	value(flags, "memory", "memory `limits` (default 128MiB,64MiB,512MiB); the first is also that of the other groups", list(size.Parse), func(v []int64) { change(func() { c.memory = v }) })
	value(flags, "latency", "of the simulated links: `durations` (default 10ms,50ms,200ms)", list(time.ParseDuration),
		func(v []time.Duration) { change(func() { c.latencies = v }) })
	value(flags, "bandwidth", "of each of their connections: `bytes` per second (default 50MB)", size.Parse,
		func(v int64) { change(func() { c.bandwidth = v }) })
	value(flags, "writers", "on one Pool: `numbers` (default 1,8,64)", list(strconv.Atoi), func(v []int) { change(func() { c.writers = v }) })
	value(flags, "lineparts", "of a stream over a line: `number` (default 2000)", strconv.Atoi, func(v int) { change(func() { c.lineParts = v }) })
	value(flags, "lengths", "of the streams that show how cost grows: `sizes` (default 4KiB,1MiB,16MiB,256MiB,4GiB,64GiB)", list(size.Parse),
		func(v []int64) { change(func() { c.lengths = v }) })
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: bench [flags] [group ...]")
		fmt.Fprintf(stderr, "Measures streams beside the raw limits of this machine. Groups: %s; without any: %s,\n",
			strings.Join(names(), ", "), strings.Join(byDefault(), ", "))
		fmt.Fprintln(stderr, "with -profile: paths. Lists have commas, sizes units: 5MiB,16MiB.")
		flags.PrintDefaults()
	}
	err := flags.Parse(args)
	if err != nil {
		return nil, err
	}
	if *short {
		c.settings = quick()
	}
	for _, f := range changes {
		f()
	}
	if c.rounds == 0 {
		c.rounds = 5
		if *short {
			c.rounds = 1
		}
	}
	switch c.groups = flags.Args(); {
	case len(c.groups) > 0:
	case c.profile != "":
		c.groups = []string{"paths"}
	default:
		c.groups = byDefault()
	}
	unknown := slices.IndexFunc(c.groups, func(name string) bool { return !slices.Contains(names(), name) })
	switch {
	case unknown >= 0:
		err = fmt.Errorf("no group %q; there are %s", c.groups[unknown], strings.Join(names(), ", "))
	case c.rounds < 0:
		err = fmt.Errorf("-rounds %d is negative", c.rounds)
	case c.size < 1 || slices.Min(c.lengths) < 1 || c.lineParts < 1:
		err = errors.New("a stream has at least 1 byte")
	case slices.Min(c.writers) < 1:
		err = errors.New("a Pool has at least 1 writer")
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return c, err
}

// value defines a flag by a function that reads its text.
func value[T any](flags *flag.FlagSet, name, usage string, parse func(string) (T, error), set func(T)) {
	flags.Func(name, usage, func(text string) error {
		v, err := parse(text)
		if err == nil {
			set(v)
		}
		return err
	})
}

// list reads values between commas.
func list[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(text string) ([]T, error) {
		var all []T
		for field := range strings.SplitSeq(text, ",") {
			v, err := parse(field)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
}
