//go:build unix

package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
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

// What is no regular file is no manifest, and nothing waits for the other end of a FIFO.
func TestManifests_AreReadFromRegularFilesOnly(t *testing.T) {
	data := noise(100_000)
	for _, plant := range testutil.Irregular {
		p := newPlantedTrial(realTrial(t))
		folder := t.TempDir()
		dest := "file://" + folder + "/x"
		require.NoError(t, os.WriteFile(filepath.Join(folder, "x"), data, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "victim"), []byte(`{"sluice_manifest":1,"size":1}`), 0o600))
		name := filepath.Join(folder, "x"+sluice.ManifestSuffix)
		require.NoError(t, plant(name, filepath.Join(folder, "victim")))
		planted, err := os.Lstat(name)
		require.NoError(t, err)
		for _, line := range []string{"get -q ", "get -q -o " + p.target + " ", "verify -q ", "stat ", "ls "} {
			require.Equal(t, exitDone, p.again().run(strings.Fields(line+dest)...), "%s%s: %s", line, planted.Mode(), p.stderr())
			if line == "get -q " {
				require.Equal(t, data, p.stdout.Bytes())
			}
		}
		now, err := os.Lstat(name)
		require.NoError(t, err)
		require.True(t, os.SameFile(planted, now))
		require.Equal(t, exitFailed, p.again().run("get", dest+sluice.ManifestSuffix))
		require.Contains(t, p.stderr(), "not a regular file")
	}
}

// unanswered is a store that never answers the read of a manifest.
type unanswered struct{ sluice.Source }

func (s unanswered) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if !strings.HasSuffix(f.Name, sluice.ManifestSuffix) {
		return s.Source.ReadRange(ctx, f, r)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestTimeout_EndsACommandThatWaitsForAManifest(t *testing.T) {
	for _, line := range []string{"get", "get --decompress=auto", "get -o", "verify"} {
		synctest.Test(t, func(t *testing.T) {
			tr := realTrial(t)
			s := &tr.sys.schemes[slices.IndexFunc(tr.sys.schemes, func(s scheme) bool { return s.name == "file" })]
			open := s.open
			s.open = func(ctx context.Context, rest string, o opening) (*destination, error) {
				d, err := open(ctx, rest, o)
				if err == nil {
					d.source = unanswered{d.source}
				}
				return d, err
			}
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "x"), noise(1000), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "x"+sluice.ManifestSuffix), noise(1000), 0o600))
			command := strings.Fields(line)
			if line == "get -o" {
				command = append(command, filepath.Join(folder, "out"))
			}
			began := time.Now()
			require.Equal(t, exitFailed, tr.run(append(command, "-q", "--timeout", "90s", "file://"+folder+"/x")...))
			require.Equal(t, 90*time.Second, time.Since(began))
			require.Contains(t, tr.stderr(), "--timeout 1m30s has passed")
			require.Empty(t, tr.stdout.String())
			require.NoFileExists(t, filepath.Join(folder, "out"))
		})
	}
}

// A program that made its file of keys readable to all first, and closed it a moment later, let
// others hold it open (CVE-2022-23653 of the command b2). Restored files may hold secrets too.
func TestGet_MakesFilesThatOnlyTheirOwnerCanReadFromTheFirstMoment(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for _, flags := range [][]string{nil, {"--decompress=auto"}, {"--length", "19MiB"}} {
		tr := readableTrial(t, noise(20<<20)) // more than memory holds, so more than one range
		folder := t.TempDir()
		var mu sync.Mutex // ranges are read concurrently
		seen := make(map[fs.FileMode][]string)
		open := tr.sys.schemes[0].open
		tr.sys.schemes[0].open = func(ctx context.Context, rest string, o opening) (*destination, error) {
			d, err := open(ctx, rest, o)
			if err == nil {
				d.source = watchedSource{d.source, func() {
					mu.Lock()
					defer mu.Unlock()
					files, _ := os.ReadDir(folder)
					for _, f := range files {
						if info, err := f.Info(); err == nil { // else it has another name by now
							seen[info.Mode()] = append(seen[info.Mode()], f.Name())
						}
					}
				}}
			}
			return d, err
		}
		out := filepath.Join(folder, "out")
		require.Equal(t, exitDone, tr.run(append([]string{"get", "-q", "--memory", "4MiB", "-o", out, "mem://x"}, flags...)...), tr.stderr())
		require.NotEmpty(t, seen[0o600])
		require.Len(t, seen, 1, "%v", seen)
		info, err := os.Stat(out)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

// watchedSource calls look before each read.
type watchedSource struct {
	sluice.Source
	look func()
}

func (s watchedSource) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	s.look()
	return s.Source.ReadRange(ctx, f, r)
}
