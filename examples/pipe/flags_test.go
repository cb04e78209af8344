package main

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWrongUsageIsToldAndStartsNothing(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"-nosuch", "not defined: -nosuch"},
		{"-memory lots mem://x", `"lots"`},
		{"-memory 0 mem://x", "at least 1 byte"},
		{"-memory -5 mem://x", "-memory"},
		{"-memory 1MiB mem://x", "-memory 1 MiB holds fewer than two pages"},
		{"-part-size 1TB mem://x", "-part-size 1 TB is not between"},
		{"-size 0 mem://x", "at least 1 byte"},
		{"-size 11TB mem://x", "mem"},
		{"-size 5 -z mem://x", "-z"},
		{"-z=23 mem://x", "pipe: -z=23: not a level from 1 to 22"},
		{"-z=0 mem://x", "pipe: -z=0: not a level from 1 to 22"},
		{"-z=best mem://x", "pipe: -z=best: not a level from 1 to 22"},
		{"-concurrency -1 mem://x", "-concurrency -1 is negative"},
		{"-timeout -1s mem://x", "must be a length of time such as 36h or 30d"},
		{"-timeout soon mem://x", "must be a length of time such as 36h or 30d"},
		{"-info novalue mem://x", "KEY=VALUE"},
		{"-info a=1 -info a=2 mem://x", `"a" is given twice`},
		{"-buffer-dir ./nosuch mem://x", "nosuch"},
		{"-q -v mem://x", "-q and -v"},
		{"mem://x mem://y", `"mem://y"`},
		{"mem://x --", "no command after --"},
		{"mem://", "names no file"},
		{"mem://{time:2006", "{time:2006 lacks its }"},
		{"file.tar", `"file.tar" has no scheme; there are: mem://NAME`},
		{"ftp://x -- touch started", `"ftp" is unknown; there are: mem://NAME`},
		{"-part-size 1TB mem://x -- touch started", "-part-size 1 TB"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Chdir(t.TempDir())
			tr := newTrial(t)
			require.Equal(t, exitUsage, tr.run(append([]string{"-json"}, strings.Fields(c.args)...)...))
			require.Contains(t, tr.stderr(), c.says)
			require.Empty(t, tr.stdout.String())
			require.NoFileExists(t, "started")
			require.Empty(t, tr.faulty.Calls())
		})
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		tr := newTrial(t)
		require.Equal(t, exitDone, tr.run(flag))
		require.True(t, strings.HasPrefix(tr.stdout.String(), "NAME\n"))
		require.Empty(t, tr.stderr())
	}
}

func TestHelpNamesEveryFlagAndDestination(t *testing.T) {
	text := manual(destinations())
	new(config).flagSet(time.Now()).VisitAll(func(f *flag.Flag) {
		require.Regexp(t, `(?m)^    (-\w+, )?-`+f.Name+`\b`, text)
	})
	for _, s := range subcommands() {
		fs := newFlagSet()
		s.flags(new(request), fs)
		fs.VisitAll(func(f *flag.Flag) { require.Regexp(t, `(?m)^    -`+f.Name+`\b`, text) })
		require.Contains(t, text, "\n    pipe "+s.name+" [flags] DEST")
	}
	for _, s := range destinations() {
		require.Contains(t, text, s.form+" ")
		require.Contains(t, text, s.about)
	}
	require.NotContains(t, text, "{destinations}")
}

func TestHelpSaysThatAPipeCannotTellTheEndFromACrash(t *testing.T) {
	require.Contains(t, manual(nil), "A pipe cannot tell the end of a producer from its crash")
}

func TestFlagsStandBeforeAndAfterDEST(t *testing.T) {
	c, err := parseArgs([]string{"-q", "mem://x", "-memory", "16MiB", "-z", "--", "tar", "-z", "--", "x"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, "mem://x", c.dest)
	require.True(t, c.quiet)
	require.EqualValues(t, 16<<20, c.memory)
	require.Equal(t, defaultLevel, c.level)
	require.Equal(t, []string{"tar", "-z", "--", "x"}, c.command)
}

func TestWithoutArgumentsItIsMemory(t *testing.T) {
	c, err := parseArgs(nil, time.Now())
	require.NoError(t, err)
	require.Equal(t, "mem://stdin", c.dest)
	require.EqualValues(t, 256<<20, c.memory)
	require.Nil(t, c.command)
}

func TestTimeIsPutIntoTheName(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 15, 0, 0, time.FixedZone("", 3600))
	name, err := expandTime("mem://a/{time:2006/01}/db-{time:2006-01-02T15-04}.{sql}", now)
	require.NoError(t, err)
	require.Equal(t, "mem://a/2026/11/db-2026-11-20T03-15.{sql}", name)
}
