package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

func TestMain(m *testing.M) {
	if roles.Play(os.Args) {
		return
	}
	os.Exit(m.Run())
}

func TestEveryContenderUploadsAndIsShownBesideOurs(t *testing.T) {
	folder := folderWith(t, "<!-- measured: rivals -->\n<!-- end of rivals -->\n")
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-quick", "-size", "40MiB", "-o", folder}, &stdout, &stderr), stderr.String())
	text, err := os.ReadFile(filepath.Join(folder, lab.Document))
	require.NoError(t, err)
	for _, e := range chosen(regexp.MustCompile(""), false) {
		require.Contains(t, stdout.String(), e.String())
		beside := `\| [0-9]+\.[0-9]+ \| [0-9]+\.[0-9]+ \|`
		if e.program == ours {
			beside = `\|  \|`
		}
		require.Regexp(t, regexp.QuoteMeta("| "+e.String()+" |")+".*"+beside, string(text))
	}
}

func TestEveryContenderRestoresAndIsShownBesideOurs(t *testing.T) {
	folder := folderWith(t, "<!-- measured: restores -->\n<!-- end of restores -->\n")
	only := "loopback|100 MB/s, 1ms"
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-quick", "-restores", "-only", only, "-size", "16MiB", "-o", folder}, &stdout, &stderr), stderr.String())
	text, err := os.ReadFile(filepath.Join(folder, lab.Document))
	require.NoError(t, err)
	for _, e := range restores(regexp.MustCompile(only)) {
		require.Contains(t, string(text), "| "+e.String()+" |")
	}
}

func TestEveryGroupHasOurs(t *testing.T) {
	groups := make(map[string]bool)
	for _, e := range chosen(regexp.MustCompile(""), true) {
		groups[e.group] = groups[e.group] || e.program == ours
	}
	require.Len(t, groups, 7)
	for group, has := range groups {
		require.True(t, has, group)
	}
}

func TestMistakesAreNamedBeforeAnythingRuns(t *testing.T) {
	for text, args := range map[string][]string{
		"matches no entry":              {"-only", "nothing like it"},
		"0 is not between 1 and 1000":   {"-rounds", "0"},
		"0 bytes is not between 1 byte": {"-size", "0"},
		`"stdin" is no flag`:            {"stdin"},
		"no place for rivals":           {"-o", folderWith(t, "no place")},
		"no such file":                  {"-o", t.TempDir()},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), args, &stdout, &stderr), text)
		require.Contains(t, stderr.String(), text)
		require.Empty(t, stdout.String())
	}
}

// folderWith is a folder with a document of that text.
func folderWith(t *testing.T, text string) string {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, lab.Document), []byte(text), 0o644))
	return folder
}
