package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// config is what the arguments say.
type config struct {
	dest    string   // DEST as given, the time template expanded
	command []string // after --, nil without it

	memory, partSize, size, rate int64 // bytes; rate a second; 0: not given
	concurrency                  int
	bufferDir, spool             string
	level                        int    // zstd's, 0: not compressed
	noLevel                      string // what -z was given instead of one
	sha256, sha1                 bool
	keep                         bool
	timeout                      time.Duration
	json, quiet, verbose         bool
	store                        storeFlags
}

const (
	defaultDest   = "mem://stdin"
	defaultMemory = 256 << 20
	defaultLevel  = 3
	maxLevel      = 22
)

// newFlagSet is a set that leaves telling of errors to its caller.
func newFlagSet() *flag.FlagSet {
	fs := flag.NewFlagSet("pipe", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// flagSet binds the flags to c.
func (c *config) flagSet(now time.Time) *flag.FlagSet {
	fs := newFlagSet()
	fs.Var((*sizeValue)(&c.memory), "memory", "")
	fs.Var((*sizeValue)(&c.partSize), "part-size", "")
	fs.Var((*sizeValue)(&c.size), "size", "")
	fs.Var((*sizeValue)(&c.rate), "rate", "")
	fs.IntVar(&c.concurrency, "concurrency", 0, "")
	fs.StringVar(&c.bufferDir, "buffer-dir", "", "")
	fs.StringVar(&c.spool, "spool", "", "")
	fs.Var(&levelValue{&c.level, &c.noLevel}, "z", "")
	fs.BoolVar(&c.sha256, "sha256", false, "")
	fs.BoolVar(&c.sha1, "sha1", false, "")
	fs.BoolVar(&c.keep, "keep-on-error", false, "")
	fs.Func("timeout", "", setAge(&c.timeout))
	fs.BoolVar(&c.json, "json", false, "")
	fs.BoolVar(&c.quiet, "q", false, "")
	fs.BoolVar(&c.verbose, "v", false, "")
	c.store.bind(fs, now)
	return fs
}

// parseArgs reads [flags] [DEST] [-- CMD ARG…]. Flags may stand before and after DEST. The error is
// flag.ErrHelp if help was asked for, else it says what is wrong.
func parseArgs(args []string, now time.Time) (*config, error) {
	c := &config{dest: defaultDest, memory: defaultMemory}
	if i := slices.Index(args, "--"); i >= 0 {
		if c.command = args[i+1:]; len(c.command) == 0 {
			return nil, errors.New("no command after --")
		}
		args = args[:i]
	}
	names, err := parseMixed(c.flagSet(now), args)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 && slices.ContainsFunc(subcommands(), func(s subcommand) bool { return s.name == names[0] }) {
		return nil, fmt.Errorf("a subcommand comes first: pipe %s", names[0])
	}
	if len(names) > 1 {
		return nil, fmt.Errorf("%q is one argument too many after DEST %q; a command comes after --", names[1], names[0])
	}
	if len(names) == 1 {
		c.dest = names[0]
	}
	if c.dest, err = expandTime(c.dest, now); err != nil {
		return nil, err
	}
	return c, c.check()
}

// parseMixed reads flags that stand before, between and after other arguments, and returns those.
func parseMixed(fs *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return others, nil
		}
		others = append(others, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// check refuses what no destination could make sense of.
func (c *config) check() error {
	switch {
	case c.noLevel != "":
		return fmt.Errorf("-z=%s: not a level from 1 to %d", c.noLevel, maxLevel)
	case c.size > 0 && c.level > 0:
		return errors.New("-size is the number of bytes uploaded, which nobody knows with -z")
	case c.quiet && c.verbose:
		return errors.New("-q and -v contradict each other")
	case c.concurrency < 0:
		return fmt.Errorf("-concurrency %d is negative", c.concurrency)
	}
	return nil
}

// expandTime replaces {time:LAYOUT} by the local time in that layout of package time.
func expandTime(s string, now time.Time) (string, error) {
	const open = "{time:"
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, open)
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		layout, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%s%s lacks its }", open, rest)
		}
		out.WriteString(now.Format(layout))
		s = after
	}
}

// sizeValue is a flag of at least one byte.
type sizeValue int64

func (v *sizeValue) String() string { return strconv.FormatInt(int64(*v), 10) }

func (v *sizeValue) Set(s string) error {
	n, err := size.Parse(s)
	if err != nil {
		return err
	}
	if n < 1 {
		return errors.New("must be at least 1 byte")
	}
	*v = sizeValue(n)
	return nil
}

// levelValue is -z: alone it is the default level. What is none is left to check: package flag would call it a boolean
// value.
type levelValue struct {
	level *int
	none  *string
}

func (v *levelValue) String() string   { return "" }
func (v *levelValue) IsBoolFlag() bool { return true }

func (v *levelValue) Set(s string) error {
	*v.level, *v.none = 0, ""
	switch n, err := strconv.Atoi(s); {
	case s == "true":
		*v.level = defaultLevel
	case s == "false":
	case err != nil || n < 1 || n > maxLevel:
		*v.none = s
	default:
		*v.level = n
	}
	return nil
}
