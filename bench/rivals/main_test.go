package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if roles.Play(os.Args) {
		return
	}
	os.Exit(m.Run())
}

func TestEveryContenderUploadsAndIsShownBesideOurs(t *testing.T) {
	folder := t.TempDir()
	document := filepath.Join(folder, "PERFORMANCE.md")
	require.NoError(t, os.WriteFile(document, []byte("<!-- measured: rivals -->\n<!-- end of rivals -->\n"), 0o644))
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-rounds", "1", "-size", "40MiB", "-o", folder}, &stdout, &stderr), stderr.String())
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	for _, e := range chosen(regexp.MustCompile(""), false) {
		require.Contains(t, stdout.String(), e.String())
		beside := `\| [0-9.]+ \([0-9.]+-[0-9.]+\) \|`
		if e.program == ours {
			beside = `\|  \|`
		}
		require.Regexp(t, regexp.QuoteMeta("| "+e.String()+" |")+".*"+beside, string(text))
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

func TestMistakesAreNamed(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-only", "nothing like it"}, &stdout, &stderr), "matches no entry")
	require.ErrorContains(t, run(t.Context(), []string{"-rounds", "0"}, &stdout, &stderr), "measure nothing")
}
