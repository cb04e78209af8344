//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/testutil"
)

// plantedTrial is a trial of a folder with a file that nothing may change.
type plantedTrial struct {
	*trial
	target string
}

func newPlantedTrial(tr *trial) plantedTrial {
	p := plantedTrial{tr.again(), filepath.Join(tr.t.TempDir(), "out")}
	require.NoError(tr.t, os.WriteFile(p.victim(), []byte("untouched"), 0o600))
	return p
}

func (p plantedTrial) victim() string { return filepath.Join(filepath.Dir(p.target), "victim") }

// requireUntouched checks that what was planted under the name is still there, and that its
// folder has it and the victim alone.
func (p plantedTrial) requireUntouched(name string, planted os.FileInfo) {
	p.t.Helper()
	info, err := os.Lstat(name)
	require.NoError(p.t, err)
	require.True(p.t, os.SameFile(planted, info))
	require.Equal(p.t, planted.Mode(), info.Mode())
	text, err := os.ReadFile(p.victim())
	require.NoError(p.t, err)
	require.Equal(p.t, "untouched", string(text))
	require.ElementsMatch(p.t, []string{filepath.Base(name), "victim"}, entries(p.t, filepath.Dir(p.target)))
}

func TestGet_WritesToRegularFilesOnly(t *testing.T) {
	tr := readableTrial(t, noise(1<<20))
	for what, plant := range testutil.Irregular {
		for _, flags := range [][]string{nil, {"--decompress=auto"}, {"--length", "10"}} {
			p := newPlantedTrial(tr)
			require.NoError(t, plant(p.target, p.victim()))
			info, err := os.Lstat(p.target)
			require.NoError(t, err)
			require.Equal(t, exitFailed, p.run(slices.Concat([]string{"get", "-o", p.target}, flags, []string{"mem://x"})...))
			require.Contains(t, p.stderr(), p.target+": there is "+what+" of that name, and only a regular file is replaced")
			p.requireUntouched(p.target, info)
		}
	}
}

func TestGet_LeavesAPlantedPartialFileAlone(t *testing.T) {
	tr := readableTrial(t, noise(1<<20))
	for what, plant := range testutil.Irregular {
		for _, kind := range []string{"partial", "progress"} {
			p := newPlantedTrial(tr)
			name := filepath.Join(filepath.Dir(p.target), ".sluice-"+kind+"-out")
			require.NoError(t, plant(name, p.victim()))
			info, err := os.Lstat(name)
			require.NoError(t, err)
			require.Equal(t, exitFailed, p.run("get", "-o", p.target, "mem://x"))
			require.Contains(t, p.stderr(), name+" is left alone: it may be another user's: it is "+what)
			if kind == "partial" { // the record was made before
				require.NoError(t, os.Remove(filepath.Join(filepath.Dir(p.target), ".sluice-progress-out")))
			}
			p.requireUntouched(name, info)
			require.NoError(t, os.RemoveAll(name))
			require.Equal(t, exitDone, p.run("get", "-o", p.target, "mem://x"), "what the message suggests helps")
		}
	}
}

func TestMetrics_ReplaceRegularFilesOnly(t *testing.T) {
	for what, plant := range testutil.Irregular {
		for _, c := range []struct {
			exit int
			args []string
		}{
			{exitCommand, []string{"mem://x", "--", "false"}}, // which looks for the last success
			{exitDone, []string{"mem://x"}},
		} {
			p := newPlantedTrial(newTrial(t))
			require.NoError(t, plant(p.target, p.victim()))
			info, err := os.Lstat(p.target)
			require.NoError(t, err)
			p.stdin(noise(1000))
			require.Equal(t, c.exit, p.run(args(append([]string{"--metrics", p.target}, c.args...)...)...))
			require.Contains(t, p.stderr(), "sluice: --metrics: "+p.target+": there is "+what+" of that name")
			p.requireUntouched(p.target, info)
		}
	}
}

// What another user may have written is no success of this one's.
func TestMetrics_TakeNoSuccessFromAFileThatOthersMayWrite(t *testing.T) {
	for _, mode := range []os.FileMode{0o666, 0o600} {
		path := filepath.Join(t.TempDir(), "sluice.prom")
		require.NoError(t, os.WriteFile(path, []byte("sluice_last_success_timestamp_seconds{destination=\"mem://x\"} 4102444800\n"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		require.Equal(t, exitCommand, newTrial(t).run(args("--metrics", path, "mem://x", "--", "false")...))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if mode == 0o600 {
			require.Contains(t, string(text), "} 4102444800\n")
		} else {
			require.Contains(t, string(text), "sluice_last_success_timestamp_seconds{destination=\"mem://x\"} 0\n")
		}
	}
}

// A file without end does not keep a failed run from its end.
func TestMetrics_ReadABoundedPartOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.prom")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 1<<40))
	require.Equal(t, exitCommand, newTrial(t).run(args("--metrics", path, "mem://x", "--", "false")...))
	require.NoError(t, os.WriteFile(path, slices.Repeat([]byte("\n"), 2<<20), 0o600))
	require.Equal(t, exitCommand, newTrial(t).run(args("--metrics", path, "mem://x", "--", "false")...))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(4096))
}
