package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// settingsOf writes a file of settings and returns its path.
func settingsOf(t *testing.T, mode os.FileMode, lines ...string) string {
	path := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

// unset takes variables out of the environment until the test ends.
func unset(t *testing.T, names ...string) {
	for _, name := range names {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
}

// namedTrial is a B2 server whose key is only in a file of settings, with the destination offsite.
func namedTrial(t *testing.T, more ...string) (*trial, *b2test.Server) {
	tr, s := newB2Trial(t, nil)
	unset(t, "B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY", "B2_ENDPOINT")
	path := settingsOf(t, 0o600, slices.Concat([]string{
		"[offsite]",
		`dest = "b2://test-bucket/web1"`,
		fmt.Sprintf("B2_APPLICATION_KEY_ID = %q", s.KeyID()),
		fmt.Sprintf("B2_APPLICATION_KEY = %q", s.Key()),
		fmt.Sprintf("B2_ENDPOINT = %q", s.URL()),
	}, more)...)
	t.Setenv("SLUICE_CONFIG", path)
	return tr, s
}

func TestSettings_ANamedDestinationIsUsedByEveryCommand(t *testing.T) {
	tr, s := namedTrial(t)
	data := noise(2_400_000)
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run("--json", "--part-size", "1MiB", "offsite:db"), tr.stderr())
	require.Equal(t, data, b2Content(t, s, "web1/db"))
	require.Equal(t, "offsite:db", tr.object()["destination"])
	for line, want := range map[string]string{
		"get -q offsite:db":    string(data),
		"ls offsite:":          "offsite:db\n",
		"ls offsite:d":         "offsite:db\n",
		"ls b2://test-bucket/": "offsite", // without the name there is no key
		"verify -q offsite:db": "",
		"unfinished offsite:":  "",
		"cancel -q offsite:db": "",
		"prune -q --keep-last 1 offsite:db-{time:2006}": "",
	} {
		code := tr.again().run(strings.Fields(line)...)
		if want == "offsite" {
			require.Equal(t, exitUsage, code, "the variables of the run before are not those of this one")
			continue
		}
		require.Equal(t, exitDone, code, "%s: %s", line, tr.stderr())
		require.Equal(t, want, tr.stdout.String(), line)
	}
	require.Equal(t, exitDone, tr.again().run("stat", "offsite:db"), tr.stderr())
	require.Contains(t, tr.stdout.String(), "destination   offsite:db\n")
	require.Equal(t, exitDone, tr.again().run("rm", "--json", "--yes", "offsite:db"), tr.stderr())
	require.Equal(t, "offsite:db", tr.object()["destination"])
	require.Empty(t, s.Files("test-bucket"))
}

func TestSettings_SuggestedCommandsNameTheDestination(t *testing.T) {
	tr, s := namedTrial(t)
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Part: 2, Status: 400}))
	s.ExpectUnfinished("web1/db-2026")
	tr.sys.now = func() time.Time { return time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC) }
	tr.stdin(noise(2_400_000))
	require.Equal(t, exitFailed, tr.run("--json", "--keep-on-error", "--part-size", "1MiB", "offsite:db-{time:2006}"))
	id := tr.object()["large_file"].(string)
	config := os.Getenv("SLUICE_CONFIG")
	require.Contains(t, tr.stderr(), "sluice put --config "+config+" --resume-id "+id+" offsite:db-2026; to remove it: sluice cancel --config "+config+" offsite:db-2026 "+id)
	require.Equal(t, exitDone, tr.again().run("cancel", "--config", config, "offsite:db-2026", id), tr.stderr())
}

// What the file has for the store replaces what the environment has: no key goes with another
// one's secret.
func TestSettings_AKeyOfTheFileReplacesThatOfTheEnvironment(t *testing.T) {
	tr, s := namedTrial(t)
	t.Setenv("B2_APPLICATION_KEY_ID", "another")
	t.Setenv("B2_APPLICATION_KEY_FILE", "/nonexistent")
	t.Setenv("B2_ENDPOINT", "https://elsewhere.example.com")
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run("offsite:x"), tr.stderr())
	require.Len(t, s.Files("test-bucket"), 1)
}

func TestSettings_CMDDoesNotSeeWhatTheFileHas(t *testing.T) {
	tr, s := namedTrial(t)
	t.Setenv("B2_ENDPOINT", "https://seen.example.com")
	for _, flag := range []string{"--pass-keys", "-v"} {
		require.Equal(t, exitDone, tr.again().run("put", flag, "offsite:env", "--", "env"), tr.stderr())
		seen := string(b2Content(t, s, "web1/env"))
		require.NotContains(t, seen, s.Key())
		require.NotContains(t, seen, s.KeyID())
		require.Contains(t, seen, "B2_ENDPOINT=https://seen.example.com\n")
	}
}

func TestSettings_AFileThatOthersCanReachIsRefused(t *testing.T) {
	const plain = "memory = \"16MiB\""
	secret := []string{"[offsite]", `dest = "b2://b"`, `B2_APPLICATION_KEY = "k"`}
	for _, c := range []struct {
		mode  os.FileMode
		lines []string
		says  string
	}{
		{0o600, secret, ""},
		{0o400, secret, ""},
		{0o644, secret, "it has a secret, and other users may read it; chmod 600"},
		{0o640, secret, "it has a secret, and other users may read it; chmod 600"},
		{0o604, secret, "it has a secret, and other users may read it; chmod 600"},
		{0o644, []string{plain}, ""},
		{0o664, []string{plain}, "other users may change it; chmod 600"},
		{0o602, []string{plain}, "other users may change it; chmod 600"},
	} {
		tr := newTrial(t)
		tr.sys.schemes = destinations()
		code := tr.run("put", "--config", settingsOf(t, c.mode, c.lines...), "mem://x")
		if c.says == "" {
			require.Equal(t, exitDone, code, tr.stderr())
			continue
		}
		require.Equal(t, exitUsage, code, "%o", c.mode)
		require.Contains(t, tr.stderr(), c.says)
	}
}

func TestSettings_MistakesAreNamedWithTheirLine(t *testing.T) {
	for text, says := range map[string]string{
		"nosuch = 1":               `config.toml:1: nosuch: there is no flag --nosuch`,
		"\n\npart_size = \"1MiB\"": `config.toml:3: part_size: there is no flag --part_size`,
		"[offsite]\ndest = \"b2://b\"\nendpont = \"x\"":     `config.toml:3: offsite.endpont: there is no flag --endpont, and no variable of b2:// of this name`,
		"[offsite]\ndest = \"b2://b\"\nAWS_PROFILE = \"x\"": `config.toml:3: offsite.AWS_PROFILE: there is no flag --AWS_PROFILE`,
		"[offsite]\ndest = \"b2://b\"\n[offsite.more]\nx=1": `config.toml:3: offsite.more: there is no flag --more`,
		"[offsite]\nmemory = \"1MiB\"":                      `config.toml:1: offsite: it needs the key dest`,
		"[offsite]\ndest = \"ftp://b\"":                     `config.toml:1: offsite: it needs the key dest`,
		"[offsite]\ndest = 5":                               `config.toml: toml: line 2 (last key "offsite.dest"): incompatible types`,
		"[offsite]\ndest = \"b2://b/{time:2006}\"":          `config.toml:2: offsite.dest: a date belongs into what follows offsite:`,
		"[b2]\ndest = \"b2://b\"":                           `config.toml:1: b2: a destination cannot have this name`,
		"[x]\ndest = \"b2://b\"":                            `config.toml:1: x: a destination cannot have this name`,
		"[\"a b\"]\ndest = \"b2://b\"":                      `a destination cannot have this name`,
		"[[offsite]]\ndest = \"b2://b\"":                    `config.toml:1: offsite: there is no flag --offsite`,
		"memory = \"lots\"":                                 `config.toml:1: memory: invalid argument "lots" for "--memory" flag`,
		"memory = 1.5":                                      `config.toml:1: memory: must be a text in quotes, a whole number, true or false`,
		"memory = [\"16MiB\", [1]]":                         `config.toml:1: memory: must be a text in quotes`,
		"config = \"x\"":                                    `config.toml:1: config: there is no flag --config`,
		"memory = ":                                         `config.toml:1: `,
		"memory = \"16MiB\"\nmemory = \"32MiB\"":            `config.toml:2: memory`,
		strings.Repeat("#", maxSettings+1):                  "has more than 1048576 bytes",
	} {
		tr := newTrial(t)
		tr.sys.schemes = destinations()
		require.Equal(t, exitUsage, tr.run("--config", settingsOf(t, 0o600, text), "mem://x"), text)
		require.Contains(t, tr.stderr(), says)
	}
	for line, says := range map[string]string{
		"--config /nonexistent mem://x": "/nonexistent: no such file",
		"offsite:x":                     `DEST "offsite:x": there is no destination "offsite"`,
		"--config /dev/null offsite:x":  `there is no destination "offsite" in /dev/null`,
	} {
		tr := newTrial(t)
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		require.Equal(t, exitUsage, tr.run(strings.Fields(line)...))
		require.Contains(t, tr.stderr(), says)
	}
}

func TestSettings_TheUsualFileIsReadIfItIsThere(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home)
	folder, err := os.UserConfigDir()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "sluice"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "sluice", "config.toml"), []byte("[home]\ndest = \"mem://a\"\n"), 0o600))
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("home:x"), tr.stderr())
	require.Equal(t, []string{"a/x"}, tr.store.Names())
	require.Equal(t, exitDone, tr.again().run("__complete", "put", "ho"))
	require.Contains(t, tr.stdout.String(), "home:\n")

	unset(t, "XDG_CONFIG_HOME", "HOME") // as in some crontabs
	require.Equal(t, exitDone, tr.again().run("mem://y"), tr.stderr())
}

// flagSamples are two values of each kind of value that differ from each other and from the
// default.
var flagSamples = map[string][3]string{
	"LEVEL": {"3", "5", "7"}, "SIZE": {"16MiB", "17MiB", "18MiB"}, "DIR": {"a", "b", "c"}, "STATUS,...": {"1", "2", "3"}, "N": {"2", "3", "4"},
	"FILE": {"a", "b", "c"}, "AGE": {"1h", "2h", "3h"}, "DURATION": {"1h", "2h", "3h"}, "ID": {"a", "b", "c"}, "TYPE": {"a", "b", "c"},
	"KEY=VALUE": {"a=1", "b=2", "c=3"}, "TIME": {"2027-01-01", "2027-01-02", "2027-01-03"}, "TEXT": {"a", "b", "c"}, "CLASS": {"a", "b", "c"},
	"MODE:UNTIL": {"governance:1d", "governance:2d", "compliance:3d"}, "OPTION": {"Encryption", "Retention", "LegalHold"}, "OCTAL": {"600", "640", "644"},
	"MODE": {decompressNeeded, decompressAuto, decompressNeeded}, "SOURCE": {"a", "b", "c"}, "URL": {"http://a", "http://b", "http://c"}, "REGION": {"a", "b", "c"}, "ID|ARN": {"a", "b", "c"}, "DOMAIN": {"a.b", "b.c", "c.d"},
}

// samplesOf returns three values of a flag.
func samplesOf(t *testing.T, f *pflag.Flag) [3]string {
	switch kind := f.Value.Type(); {
	case kind == "RECIPIENT":
		var samples [3]string
		for i := range samples {
			identity, err := age.GenerateX25519Identity()
			require.NoError(t, err)
			samples[i] = identity.Recipient().String()
		}
		return samples
	case kind == "bool":
		return [3]string{"true", "false", "true"}
	case f.Name == "sha256" || f.Name == "sha1" || f.Name == flagLargeFileSHA1:
		n := map[string]int{"sha256": 64, "sha1": 40, flagLargeFileSHA1: 40}[f.Name]
		return [3]string{strings.Repeat("a", n), strings.Repeat("b", n), strings.Repeat("c", n)}
	case strings.Contains(kind, "|") && len(flagSamples[kind][0]) == 0:
		choices := strings.Split(kind, "|")
		return [3]string{choices[0], choices[1], choices[0]}
	default:
		require.NotEmpty(t, flagSamples[kind][0], "no samples for --%s %s", f.Name, kind)
		return flagSamples[kind]
	}
}

// Every flag of every command: the command line is before the environment, and that before the
// destination's table, before the defaults of the file.
func TestSettings_PrecedenceOfEveryFlag(t *testing.T) {
	for _, known := range testRoot(t).Commands() {
		if known.Flags().Lookup(flagConfig) == nil {
			continue
		}
		known.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Name == flagConfig {
				return
			}
			t.Run(known.Name()+" --"+f.Name, func(t *testing.T) {
				samples := samplesOf(t, f)
				toml := func(text string) string { return fmt.Sprintf("%s = %q", f.Name, text) }
				table := []string{"[other]", `dest = "mem://o"`}
				for _, c := range []struct {
					name       string
					args, env  string
					table, top string
					want       string
				}{
					{"nothing", "", "", "", "", f.DefValue},
					{"file", "", "", "", samples[0], samples[0]},
					{"table", "", "", samples[1], samples[0], samples[1]},
					{"environment", "", samples[2], samples[1], samples[0], samples[2]},
					{"flag", samples[1], samples[0], samples[2], samples[2], samples[1]},
				} {
					var lines []string
					if c.top != "" {
						lines = append(lines, toml(c.top))
					}
					lines = append(append(lines, table...), "[here]", `dest = "mem://here"`)
					if c.table != "" {
						lines = append(lines, toml(c.table))
					}
					t.Setenv("SLUICE_CONFIG", settingsOf(t, 0o600, lines...))
					t.Setenv(variable(f.Name), c.env)
					line := []string{known.Name()}
					if c.args != "" {
						line = append(line, "--"+f.Name+"="+c.args)
					}
					require.Equal(t, c.want, parsedFlag(t, f.Name, append(line, "here:x")), c.name)
				}
				if f.Value.Type() == "bool" || slices.Contains([]string{"SIZE", "N", "AGE", "LEVEL"}, f.Value.Type()) {
					t.Setenv(variable(f.Name), "nonsense")
					tr := newTrial(t)
					require.Equal(t, exitUsage, tr.run(known.Name(), "mem://x"))
					require.Contains(t, tr.stderr(), "environment variable "+variable(f.Name)+": ")
				}
			})
		})
	}
}

// parsedFlag returns the value that a flag has once a command line is read.
func parsedFlag(t *testing.T, name string, line []string) (value string) {
	sys := newTrial(t).sys
	p := &program{sys: sys, console: newConsole(sys.stderr), now: time.Now()}
	root := p.root()
	cmd := commandNamed(root, line[0])
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		value = cmd.Flags().Lookup(name).Value.String()
		return nil
	}
	root.SetArgs(line)
	require.NoError(t, root.Execute())
	return value
}

// A list in the file is a flag given several times; one on the command line replaces the list.
func TestSettings_ListsAreFlagsGivenSeveralTimes(t *testing.T) {
	config := settingsOf(t, 0o600, `info = ["a=1", "b=2"]`, "concurrency = 3")
	for _, c := range []struct {
		flag string
		want map[string]string
	}{{"", map[string]string{"a": "1", "b": "2"}}, {"--info=c=3", map[string]string{"c": "3"}}} {
		tr := newTrial(t)
		tr.stdin([]byte("x"))
		require.Equal(t, exitDone, tr.run(strings.Fields("--config "+config+" "+c.flag+" mem://x")...), tr.stderr())
		f, err := tr.store.Stat(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, c.want, f.Metadata)
	}
}

// A flag that the store cannot honour is refused wherever it comes from.
func TestSettings_WhatTheStoreCannotHonourIsRefused(t *testing.T) {
	t.Setenv("SLUICE_RETENTION", "compliance:30d")
	tr := realTrial(t)
	require.Equal(t, exitUsage, tr.run("mem://x"))
	require.Contains(t, tr.stderr(), "mem:// cannot honour --retention")
	require.Equal(t, exitFailed, tr.again().run("stat", "file://"+t.TempDir()+"/x"), "a command that has no such flag")
}

func TestSettings_ErrorsShowNoSecret(t *testing.T) {
	for _, line := range []string{
		"B2_APPLICATION_KEY = K002secret", "B2_APPLICATION_KEY = 'K002secret", "B2_APPLICATION_KEY = \"K002secret", "B2_APPLICATION_KEY = \"\\K002secret\"",
		"B2_APPLICATION_KEY = [\"K002secret\"]", "B2_APPLICATION_KEY \"K002secret\"", "B2_APPLICATION_KY = \"K002secret\"", "B2_APPLICATION_KEY = \"x\" K002secret",
		"B2_APPLICATION_KEY = {K002secret = 1}", "B2_APPLICATION_KEY = 002K002secret", "K002secret",
	} {
		tr := newTrial(t)
		tr.sys.schemes = destinations()
		path := settingsOf(t, 0o600, "[offsite]", `dest = "b2://b"`, line)
		require.Equal(t, exitUsage, tr.run("--config", path, "mem://x"), line)
		require.Contains(t, tr.stderr(), "config.toml", line)
		require.NotContains(t, tr.stderr(), "secret", line)
	}
}

func TestSettings_HelpNamesEveryVariable(t *testing.T) {
	for _, s := range destinations() {
		for _, name := range s.variables {
			require.Contains(t, configText, name)
		}
	}
}
