package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"regexp"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// section is the document's place for the table.
func (c *command) section() string {
	if c.restores {
		return "restores"
	}
	return "rivals"
}

// longest is the stream in bytes that 10,000 parts carry at the smallest size
// of any contender's own, the AWS manager's.
const longest = 10_000 * 8 << 20

// command is what the flags ask for.
type command struct {
	size    int64 // bytes of a stream
	rounds  int
	entries []entry
	args    []string
	docs    string // folder

	restores bool // in place of uploads
}

// parse reads the flags, and writes what is wrong with them, or the help asked for, to stderr.
func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{args: args}
	flags := flag.NewFlagSet("rivals", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("quick", false, "short streams, one round: it takes seconds, and the figures mean little")
	lab.Value(flags, "size", "`length` of the stream (default 4GiB, with -quick 64MiB)", lab.Bytes(1, longest), func(v int64) { c.size = v })
	lab.Value(flags, "rounds", "how often everything is measured, in turns: `number` (default 5, with -quick 1)", lab.Number(1, 1000),
		func(v int) { c.rounds = v })
	only := regexp.MustCompile("")
	lab.Value(flags, "only", "only entries whose names match the `regexp`", regexp.Compile, func(v *regexp.Regexp) { only = v })
	stored := flags.Bool("versitygw", false, "upload to a real S3 server as well, which stores what it gets in the folder for temporary files")
	flags.BoolVar(&c.restores, "restores", false, "read files back in place of uploads, over links of several latencies and caps")
	flags.StringVar(&c.docs, "o", "", "put the table into the PERFORMANCE.md of a `folder`")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	length, rounds := int64(4<<30), 5
	if *short {
		length, rounds = 64<<20, 1
	}
	c.size, c.rounds, c.entries = cmp.Or(c.size, length), cmp.Or(c.rounds, rounds), chosen(only, *stored)
	if c.restores {
		c.entries = restores(only)
	}
	err := c.check(flags.Args(), only)
	if err != nil {
		fmt.Fprintln(stderr, "rivals:", err)
	}
	return c, err
}

// check finds before anything runs what would fail after hours.
func (c *command) check(rest []string, only *regexp.Regexp) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is no flag, and nothing else is taken; -only chooses entries", rest[0])
	case len(c.entries) == 0:
		return fmt.Errorf("-only %v matches no entry", only)
	case c.docs != "":
		return lab.CheckSections(c.docs, c.section())
	default:
		return nil
	}
}
