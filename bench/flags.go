package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// parse reads the flags, and writes what is wrong with them, or the help asked for, to stderr.
func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{only: regexp.MustCompile(""), args: args}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: bench [flags] [group ...]")
		fmt.Fprintf(stderr, "Measures streams beside the raw limits of this machine. Groups: %s; without any: %s,\n",
			strings.Join(names(), ", "), strings.Join(byDefault(), ", "))
		fmt.Fprintln(stderr, "with -profile: paths. Lists have commas, sizes units: 5MiB,16MiB.")
		flags.PrintDefaults()
	}
	short := flags.Bool("quick", false, "short streams, few rows, one round: it takes seconds, and the figures mean little")
	c.define(flags)
	change := settingFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	usual := 5
	if c.settings = defaults(); *short {
		c.settings, usual = quick(), 1
	}
	change(&c.settings)
	if c.rounds == 0 {
		c.rounds = usual
	}
	err := c.choose(flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return c, err
}

// define adds the flags that say what is done, and what becomes of it.
func (c *command) define(flags *flag.FlagSet) {
	lab.Value(flags, "rounds", "how often everything is measured, in turns: `number` (default 5, with -quick 1)", lab.Number(1, 1000),
		func(v int) { c.rounds = v })
	lab.Value(flags, "only", "only rows whose names match the `regexp`", regexp.Compile, func(v *regexp.Regexp) { c.only = v })
	flags.BoolVar(&c.promise, "targets", false, "measure what docs/PERFORMANCE.md promises; a miss exits with 1")
	flags.StringVar(&c.json, "json", "", "write every figure to a `file`")
	flags.StringVar(&c.docs, "o", "", "put tables into the PERFORMANCE.md of a `folder`")
	flags.StringVar(&c.profile, "profile", "", "run the streams under a CPU profile instead, written into a `folder`, and tell where the time goes")
}

// settingFlags adds a flag for each setting. What it returns changes those that
// were given: which set they change is known when all flags are.
func settingFlags(flags *flag.FlagSet) func(*settings) {
	var given []func(*settings)
	bytes := func(name, usage string, least, most int64, field func(*settings) *int64) {
		setting(flags, &given, name, usage, lab.Bytes(least, most), field)
	}
	sizes := func(name, usage string, least, most int64, field func(*settings) *[]int64) {
		setting(flags, &given, name, usage, lab.List(lab.Bytes(least, most)), field)
	}
	numbers := func(name, usage string, least int, field func(*settings) *[]int) {
		setting(flags, &given, name, usage, lab.List(lab.Number(least, maxParts)), field)
	}
	bytes("size", "`length` of a stream (default 2GiB)", 1, maxFile, func(s *settings) *int64 { return &s.size })
	sizes("parts", "part `sizes` (default 5MiB,16MiB)", minPart, maxPart, func(s *settings) *[]int64 { return &s.parts })
	numbers("concurrency", "uploads at once, 0 for what the writer chooses: `numbers` (default 1,4,16,0)", 0,
		func(s *settings) *[]int { return &s.concurrency })
	sizes("memory", "memory `limits` (default 128MiB,64MiB,512MiB); the first is also that of the other groups", 2*minPart, 1<<40,
		func(s *settings) *[]int64 { return &s.memory })
	setting(flags, &given, "latency", "of the simulated links: `durations` (default 10ms,50ms,200ms)",
		lab.List(lab.Duration(0, time.Minute)), func(s *settings) *[]time.Duration { return &s.latencies })
	bytes("bandwidth", "of each of their connections: `bytes` per second (default 50MB)", 1e3, 1e12, func(s *settings) *int64 { return &s.bandwidth })
	numbers("writers", "on one Pool: `numbers` (default 1,8,64)", 1, func(s *settings) *[]int { return &s.writers })
	setting(flags, &given, "lineparts", "of a stream over a line: `number` (default 2000)", lab.Number(1, maxParts),
		func(s *settings) *int { return &s.lineParts })
	sizes("lengths", "of the streams that show how cost grows: `sizes` (default 4KiB,1MiB,16MiB,256MiB,4GiB,64GiB)", 1, maxFile,
		func(s *settings) *[]int64 { return &s.lengths })
	return func(s *settings) {
		for _, change := range given {
			change(s)
		}
	}
}

// setting adds a flag for one of them.
func setting[T any](flags *flag.FlagSet, given *[]func(*settings), name, usage string, parse func(string) (T, error), field func(*settings) *T) {
	lab.Value(flags, name, usage, parse, func(v T) {
		*given = append(*given, func(s *settings) { *field(s) = v })
	})
}

// choose takes the groups, the usual ones if none is named.
func (c *command) choose(groups []string) error {
	for _, name := range groups {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no group %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	switch c.groups = groups; {
	case c.promise && len(groups) > 0:
		return fmt.Errorf("-targets has rows of its own and takes no group, such as %q", groups[0])
	case c.profile != "" && c.json != "":
		return fmt.Errorf("-profile measures no figures for -json %s", c.json)
	case len(groups) > 0:
	case c.profile != "":
		c.groups = []string{"paths"}
	default:
		c.groups = byDefault()
	}
	return nil
}
