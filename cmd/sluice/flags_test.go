package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestWrongUsageIsToldAndStartsNothing(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"-nosuch", "unknown flag: --nosuch"},
		{"--memory lots mem://x", `"lots"`},
		{"--memory 0 mem://x", "at least 1 byte"},
		{"--memory -5 mem://x", "--memory"},
		{"--memory 1MiB mem://x", "--memory 1 MiB holds fewer than two pages"},
		{"--part-size 1TB mem://x", "--part-size 1 TB is not between"},
		{"--size 0 mem://x", "at least 1 byte"},
		{"--size 11TB mem://x", "mem"},
		{"--size 5 -z mem://x", "-z"},
		{"-z=23 mem://x", `sluice: invalid argument "23" for "-z, --compress" flag: not a level from 1 to 22`},
		{"-z=0 mem://x", `invalid argument "0" for "-z, --compress" flag: not a level from 1 to 22`},
		{"-z=best mem://x", `invalid argument "best" for "-z, --compress" flag: not a level from 1 to 22`},
		{"--concurrency -1 mem://x", "must be a number that is not negative"},
		{"--timeout -1s mem://x", "must be a length of time such as 36h or 30d"},
		{"--timeout soon mem://x", "must be a length of time such as 36h or 30d"},
		{"--info novalue mem://x", "KEY=VALUE"},
		{"--info a=1 --info a=2 mem://x", `"a" is given twice`},
		{"--buffer-dir ./nosuch mem://x", "nosuch"},
		{"-q -v mem://x", "-q and -v"},
		{"mem://x mem://y", `"mem://y"`},
		{"mem://x --", "no command after --"},
		{"mem://", "names no file"},
		{"mem://{time:2006", "{time:2006 lacks its }"},
		{"mem://db-{time:YYYY-MM-DD}", "{time:YYYY-MM-DD}: YY is no element of a layout"},
		{"mem://db-{time:2006-MM-dd}", "{time:2006-MM-dd}: MM is no element of a layout"},
		{"mem://db-{time:%Y-%!-%d}", "{time:%Y-%!-%d}: an element that begins with % is unknown"},
		{"mem://db-{time:%Y-%}", "{time:%Y-%}: an element that begins with % is unknown"},
		{"mem://db-{time:100%%}", "{time:100%%}: the layout has no element"},
		{"--ok-exit 1,x mem://x -- true", "must be exit statuses from 1 to 255"},
		{"--ok-exit 256 mem://x -- true", "must be exit statuses from 1 to 255"},
		{"--ok-exit 1 mem://x", "--ok-exit is about CMD, and there is none"},
		{"mem://db-{time:today}", "{time:today}: the layout has no element"},
		{"mem://db-{time:}", "{time:}: the layout has no element"},
		{"mem://db-{date:2006-01-02}", "pattern {date:2006-01-02} is unknown; there is {time:LAYOUT}"},
		{"mem://db-{today}", "pattern {today} is unknown"},
		{"mem://db-{}", "pattern {} is unknown"},
		{"", "no DEST is given"},
		{"-z --memory 64MiB", "no DEST is given"},
		{"-- touch started", "no DEST is given"},
		{"--memory mem://x", `"mem://x" for "--memory" flag`},
		{"--buffer-dir mem://x", `no DEST is given: "mem://x" is the value of --buffer-dir`},
		{"--content-type --json mem://x", "flag --content-type needs a value, and --json follows; --content-type=--json makes that the value"},
		{"--content-type -z mem://x", "flag --content-type needs a value, and -z follows"},
		{"--info", "flag needs an argument: --info"},
		{"mem://x --info -- touch started", "flag --info needs a value, and -- follows"},
		{"file.tar", `"file.tar" has no scheme; there are: mem://NAME`},
		{"ftp://x -- touch started", `"ftp" is unknown; there are: mem://NAME`},
		{"--part-size 1TB mem://x -- touch started", "--part-size 1 TB"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Chdir(t.TempDir())
			tr := newTrial(t)
			require.Equal(t, exitUsage, tr.run(append([]string{"--json"}, strings.Fields(c.args)...)...))
			require.Contains(t, tr.stderr(), c.says)
			require.Empty(t, tr.stdout.String())
			require.NoFileExists(t, "started")
			require.Empty(t, tr.faulty.Calls())
		})
	}
}

// parsed returns what the arguments of put say.
func parsed(t *testing.T, args ...string) *config {
	p := &program{sys: newTrial(t).sys, now: time.Now()}
	p.console = newConsole(p.sys.stderr)
	cmd, c := p.putCommand()
	args, err := twoDashes(cmd.Flags(), args)
	require.NoError(t, err)
	cmd.SetArgs(args)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.parse(p, cmd, args) }
	require.NoError(t, cmd.Execute())
	return c
}

func TestFlagsStandBeforeAndAfterDEST(t *testing.T) {
	c := parsed(t, "-q", "mem://x", "--memory", "16MiB", "-z", "--", "tar", "-z", "--", "x")
	require.Equal(t, "mem://x", c.dest)
	require.True(t, c.quiet)
	require.EqualValues(t, 16<<20, c.memory)
	require.Equal(t, defaultLevel, c.level)
	require.Equal(t, []string{"tar", "-z", "--", "x"}, c.command)
}

func TestTimeIsPutIntoTheName(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 15, 0, 0, time.FixedZone("", 3600))
	for dest, want := range map[string]string{
		"mem://a/{time:2006/01}/db-{time:2006-01-02T15-04}.{sql}": "mem://a/2026/11/db-2026-11-20T03-15.{sql}",
		"{time:20060102}":     "20261120",
		"{time:Mon}":          "Fri",
		"{time:Jan _2}":       "Nov 20",
		"{time:002}":          "324",
		"{time:06}-{time:PM}": "26-AM",
		"{time:15h04m05s}":    "03h15m00s",
		"{time:-0700}":        "+0100",
		"{time:%Y-%m-%d}":     "2026-11-20",
		"{time:%F_%H%M}":      "2026-11-20_0315",
		"{time:%d%%}":         "20%",
	} {
		name, err := expandTime(dest, now)
		require.NoError(t, err, dest)
		require.Equal(t, want, name)
	}
}

// Names with braces that another program made are no patterns to what reads them.
func TestGet_TakesBracesInANameAsTheyAre(t *testing.T) {
	tr := newTrial(t)
	tr.sys.schemes = destinations()
	path := filepath.Join(t.TempDir(), "{x}")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	require.Equal(t, exitDone, tr.run("get", "-q", "file://"+path), tr.stderr())
	require.Equal(t, "content", tr.stdout.String())
}

func TestFailIfEmpty_FinishesNothingIfNoByteComes(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitFailed, tr.run("--fail-if-empty", "mem://x"))
	require.Contains(t, tr.stderr(), "the stream is empty (--fail-if-empty)")
	tr.requireNothing()

	tr = newTrial(t)
	require.Equal(t, exitFailed, tr.run("--fail-if-empty", "-z", "mem://x"), "an empty stream is not empty once compressed")
	tr.requireNothing()

	tr = newTrial(t)
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run("--fail-if-empty", "mem://x"), tr.stderr())

	tr = newTrial(t)
	require.Equal(t, exitDone, tr.run("mem://x"), "without the flag an empty file is a file")
	require.Equal(t, []string{"x"}, tr.store.Names())
}
