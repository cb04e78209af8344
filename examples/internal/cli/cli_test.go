package cli_test

import (
	"bytes"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/examples/internal/cli"
)

const usage = `usage: copy [flags] FROM TO
Copies.
  -n times
    	how often, in times (default 1)
`

// parse reads the command line of a program with a flag.
func parse(more bool, args ...string) (p cli.Program, exit int, ok bool, stdout, stderr string) {
	p = cli.Program{
		Flags: flag.NewFlagSet("copy", flag.ContinueOnError), Usage: "usage: copy [flags] FROM TO\nCopies.\n", Arguments: 2, More: more,
	}
	p.Flags.Int("n", 1, "how often, in `times`")
	var out, log bytes.Buffer
	exit, ok = p.Parse(args, &out, &log)
	return p, exit, ok, out.String(), log.String()
}

func TestWhatIsRightIsReadInSilence(t *testing.T) {
	p, _, ok, stdout, stderr := parse(false, "-n", "3", "a", "-h")
	require.True(t, ok)
	require.Equal(t, "3", p.Flags.Lookup("n").Value.String())
	require.Equal(t, []string{"a", "-h"}, p.Flags.Args(), "flags come first")
	require.Empty(t, stdout+stderr)
}

func TestHelpIsWhatWasAskedFor(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		_, exit, ok, stdout, stderr := parse(false, flag)
		require.False(t, ok)
		require.Zero(t, exit)
		require.Equal(t, usage, stdout)
		require.Empty(t, stderr)
	}
}

func TestAMistakeIsToldWithTheUsage(t *testing.T) {
	for text, c := range map[string]struct {
		more bool
		args []string
	}{
		"flag provided but not defined: -x":               {false, []string{"-x", "a", "b"}},
		"invalid value \"much\" for flag -n: parse error": {false, []string{"-n", "much", "a", "b"}},
		"1 arguments, not 2":                              {false, []string{"a"}},
		"1 arguments, not 2 or more":                      {true, []string{"a"}},
		"unexpected argument \"c\"":                       {false, []string{"a", "b", "c"}},
	} {
		_, exit, ok, stdout, stderr := parse(c.more, c.args...)
		require.False(t, ok)
		require.Equal(t, 2, exit)
		require.Equal(t, "copy: "+text+"\n"+usage, stderr)
		require.Empty(t, stdout)
	}
}

func TestMoreArgumentsMayBeTaken(t *testing.T) {
	_, _, ok, _, _ := parse(true, "a", "b", "c")
	require.True(t, ok)
}
