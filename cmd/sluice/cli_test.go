package main

import (
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// testRoot returns the commands of a program with all destinations.
func testRoot(t *testing.T) *cobra.Command {
	sys := newTrial(t).sys
	sys.schemes = destinations()
	return (&program{sys: sys, console: newConsole(sys.stderr), now: time.Now()}).root()
}

// Command lines that were written with one dash, and without the name of put, are the same as
// those with two dashes. Each flag of the time when there was no other form is here.
func TestArguments_OneDashStandsForTwo(t *testing.T) {
	for command, flags := range map[string]string{
		"put": `-memory 16MiB -part-size 1MiB -size 5 -rate 5MB -concurrency 2 -buffer-dir /tmp -spool /tmp -z -z=9 -sha256 -sha1
			-keep-on-error -pass-keys -fail-if-empty -timeout 1h -json -q -v -content-type a/b -info k=v -resume -resume-id 7 -restart-on-mismatch
			-patient -src-last-modified 2027-01-31 -expires 2027-01-31 -cache-control x -content-disposition x -content-language x
			-content-encoding x -large-file-sha1 x -sse c -sse-key-file x -retention compliance:30d -legal-hold on -endpoint http://x -path-style
			-mode 640 -bv-type X -bv-source X -json=false -z=false`,
		"get":        `-timeout 1h -json -q -v -patient -sse c -sse-key-file x -endpoint http://x -path-style -sha1 ` + hexSHA1(nil) + ` -sha256 ` + hexSHA256(nil),
		"unfinished": `-timeout 1h -json -q -v -patient -endpoint http://x -path-style -older 30d -parts`,
		"cancel":     `-timeout 1h -json -q -v -patient -endpoint http://x -path-style -older 30d -prefix`,
	} {
		for _, place := range []string{"before DEST", "after DEST"} {
			t.Run(command+" "+place, func(t *testing.T) {
				words := strings.Fields(flags)
				line := append(slices.Clone(words), "mem://x")
				if place == "after DEST" {
					line = append([]string{"mem://x"}, words...)
				}
				if command != "put" {
					line = append([]string{command}, line...)
				}
				line = append(line, "--", "tar", "-json")
				root := testRoot(t)
				args, err := arguments(root, line)
				require.NoError(t, err)
				require.Equal(t, command, args[0])
				cmd := commandNamed(root, command)
				require.NoError(t, cmd.ParseFlags(args[1:]))
				require.Equal(t, []string{"mem://x", "tar", "-json"}, cmd.Flags().Args())
				var missing []string
				for _, word := range words {
					name, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
					if f, _ := lookup(cmd.Flags(), word); strings.HasPrefix(word, "-") && (f == nil || !f.Changed) {
						missing = append(missing, name)
					}
				}
				require.Empty(t, missing)
			})
		}
	}
}

func TestArguments_LeaveValuesAndCommandsAlone(t *testing.T) {
	for line, want := range map[string]string{
		"mem://x":                           "put mem://x",
		"-json mem://x":                     "put --json mem://x",
		"put -json mem://x -- x -json":      "put --json mem://x -- x -json",
		"get -sha256=ab mem://x":            "get --sha256=ab mem://x",
		"mem://x -cache-control -1":         "put mem://x --cache-control -1",
		"mem://x -cache-control -nosuch":    "put mem://x --cache-control -nosuch",
		"-qv mem://x":                       "put -qv mem://x",
		"-nosuch":                           "put --nosuch",
		"-h":                                "help",
		"-help":                             "help",
		"--help":                            "help",
		"--version":                         "--version",
		"help put":                          "help put",
		"":                                  "put",
		"__complete -json --mem":            "__complete put --json --mem",
		"__complete get -json --sh":         "__complete get --json --sh",
		"__complete pu":                     "__complete pu",
		"__completeNoDesc --mem":            "__completeNoDesc put --mem",
		"__complete mem://x -- tar -json x": "__complete put mem://x -- tar -json x",
	} {
		args, err := arguments(testRoot(t), strings.Fields(line))
		require.NoError(t, err, line)
		require.Equal(t, want, strings.Join(args, " "), line)
	}
}

func TestHelp_GoesToStandardOutput(t *testing.T) {
	for args, want := range map[string]string{
		"-h":                "A pipe cannot tell the end of a producer from its crash",
		"-help":             "A pipe cannot tell the end of a producer from its crash",
		"help":              "A pipe cannot tell the end of a producer from its crash",
		"help put":          "put stores standard input",
		"put -h":            "put stores standard input",
		"-json -h":          "put stores standard input",
		"get -help":         "get writes the file DEST",
		"help exit-status":  "3   CMD failed",
		"exit-status":       "3   CMD failed",
		"help destinations": "mem://NAME",
		"help help":         "sluice help [COMMAND|TOPIC]",
		"help completion":   "sluice completion fish > ",
		"help version":      "sluice version",
	} {
		tr := newTrial(t)
		require.Equal(t, exitDone, tr.run(strings.Fields(args)...), tr.stderr())
		require.Contains(t, tr.stdout.String(), want)
		require.Empty(t, tr.stderr())
	}
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("help", "nosuch"))
	require.Contains(t, tr.stderr(), `there is no help on "nosuch"`)
}

// Every command has a text, and every flag a heading and a description. Help fits a terminal.
func TestHelp_DescribesEveryCommandAndFlag(t *testing.T) {
	root := testRoot(t)
	for _, cmd := range root.Commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		flags := 0
		for _, g := range flagGroups(cmd) {
			g.VisitAll(func(f *pflag.Flag) {
				flags++
				require.NotEmpty(t, f.Usage, f.Name)
				require.NotEqual(t, "string", f.Value.Type(), f.Name)
			})
		}
		all := 0
		cmd.Flags().VisitAll(func(*pflag.Flag) { all++ })
		require.Equal(t, all, flags, "a flag of %s has no heading", cmd.Name())
		for line := range strings.Lines(cmd.Long) {
			require.LessOrEqual(t, len(line), 100, line)
		}
	}
	for _, s := range destinations() {
		require.Contains(t, commandNamed(root, "destinations").Long, s.form+" ")
		require.Contains(t, commandNamed(root, "destinations").Long, s.about)
	}
	require.NotContains(t, commandNamed(root, "destinations").Long, "{destinations}")
}

func TestVersion_NamesCommitAndGo(t *testing.T) {
	for _, args := range []string{"--version", "version"} {
		tr := newTrial(t)
		require.Equal(t, exitDone, tr.run(args), tr.stderr())
		require.Regexp(t, `^sluice \S+,.* go1\.\S+ \w+/\w+\n$`, tr.stdout.String())
	}
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.time", Value: "2026-11-20T03:15:00Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	require.Contains(t, describeBuild(info), "sluice v0.1.0, commit 0123abc with changes of 2026-11-20T03:15:00Z, go1.26.8 ")
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("version", "x"))
}

func TestCompletion_OffersCommandsFlagsDestinationsAndChoices(t *testing.T) {
	for line, want := range map[string][]string{
		"ge|":                  {"get"},
		"put --mem|":           {"--memory"},
		"--mem|":               {"--memory"},
		"-json --path|":        {"--path-style"},
		"get b|":               {"b2://", "bv://"},
		"put --legal-hold |":   {"on", "off"},
		"put --sse |":          {"b2", "s3", "kms", "c"},
		"completion |":         {"bash", "zsh", "fish", "powershell"},
		"help exit|":           {"exit-status"},
		"get b2://bucket/x b|": nil,
	} {
		words := strings.Split(strings.TrimSuffix(line, "|"), " ")
		tr := newTrial(t)
		tr.sys.schemes = destinations()
		require.Equal(t, exitDone, tr.run(append([]string{"__completeNoDesc"}, words...)...), tr.stderr())
		var offered []string
		for l := range strings.Lines(tr.stdout.String()) {
			if !strings.HasPrefix(l, ":") {
				offered = append(offered, strings.TrimSpace(l))
			}
		}
		require.Equal(t, want, offered, line)
	}
}

func TestCompletion_WritesAScriptForEachShell(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef sluice", "fish": "complete -c sluice", "powershell": "Register-ArgumentCompleter",
	} {
		tr := newTrial(t)
		require.Equal(t, exitDone, tr.run("completion", shell), tr.stderr())
		require.Contains(t, tr.stdout.String(), want)
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		tr := newTrial(t)
		require.Equal(t, exitUsage, tr.run(args...))
		require.Contains(t, tr.stderr(), "bash, zsh, fish")
	}
}

// updateManual has the test write the manual pages: UPDATE_MAN=1 go test -run Manual ./cmd/sluice
const updateManual = "UPDATE_MAN"

func TestManualPages_MatchTheCommands(t *testing.T) {
	const folder = "../../docs/man"
	pages := manualPages(testRoot(t))
	if os.Getenv(updateManual) != "" {
		require.NoError(t, os.RemoveAll(folder))
		require.NoError(t, os.Mkdir(folder, 0o755))
		for name, text := range pages {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
		}
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, err)
		require.Equal(t, pages[e.Name()], string(text), "%s is out of date: %s=1 go test -run Manual ./cmd/sluice", e.Name(), updateManual)
	}
	require.Equal(t, slices.Sorted(maps.Keys(pages)), names)
}
