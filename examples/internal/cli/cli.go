// Package cli reads the command lines of the examples, to which -h and a mistake mean the same everywhere.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// Program is how a program is called.
type Program struct {
	Flags     *flag.FlagSet // has the program's name and continues on errors
	Usage     string        // what is printed before the flags, in whole lines
	Arguments int           // how many there are beside the flags
	More      bool          // or more of them
}

// Parse reads args into Flags, which have the other arguments then. It returns false if the program is to end with exit:
// help was asked for and is on stdout (0), or a mistake is told on stderr, with the usage (2).
func (p Program) Parse(args []string, stdout, stderr io.Writer) (exit int, ok bool) {
	p.Flags.SetOutput(io.Discard)
	err := p.Flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		p.printUsage(stdout)
		return 0, false
	}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Flags.Name(), err)
		p.printUsage(stderr)
		return 2, false
	}
	return 0, true
}

// check refuses another number of arguments.
func (p Program) check() error {
	switch n := p.Flags.NArg(); {
	case n < p.Arguments && p.More:
		return fmt.Errorf("%d arguments, not %d or more", n, p.Arguments)
	case n < p.Arguments:
		return fmt.Errorf("%d arguments, not %d", n, p.Arguments)
	case n > p.Arguments && !p.More:
		return fmt.Errorf("unexpected argument %q", p.Flags.Arg(p.Arguments))
	}
	return nil
}

func (p Program) printUsage(w io.Writer) {
	fmt.Fprint(w, p.Usage)
	p.Flags.SetOutput(w)
	p.Flags.PrintDefaults()
}
