package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// others are names beside those of db-{time:%Y-%m-%d}.dump that no run may remove.
var others = []string{
	"db-latest.dump", "db-2020-02-30.dump", "db-2020-1-1.dump", "db-2020-01-01.dump.old", "db-2020-01-01.dump.sha256", "other-2020-01-01.dump",
	"db-2020-01-01T00.dump", "db-2099-01-01.dump", "db-2099-01-01.dump.manifest.json", "2020-01-01", "db-2020-01-01.dump/x",
}

// forty nights of backups, of which some fail: what is there after each night is what the rules
// say, worked out here in another way.
func forty(t *testing.T, tr *trial, base string, others []string, night func(), names func() []string) {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	first := time.Date(2026, 10, 1, 2, 30, 0, 0, zone) // summer time ends on the 25th
	tr.sys.now = func() time.Time { return first }
	for _, name := range others {
		tr.stdin([]byte("foreign"))
		require.Equal(t, exitDone, tr.run("put", "-q", base+name), tr.stderr())
	}
	var stored []int // nights
	for i := range 40 {
		night()
		now := first.AddDate(0, 0, i)
		tr.sys.now = func() time.Time { return now }
		tr.again()
		line := []string{"put", "-q", "--manifest", "--keep-last", "5", "--keep-within", "8d", base + "db-{time:%Y-%m-%d}.dump"}
		want := exitDone
		switch {
		case i%7 == 3:
			line, want = append(line, "--", "sh", "-c", "echo half; exit 7"), exitCommand
		case i%7 == 5 || i > 20 && i < 25:
			tr.stdin(nil)
			want = exitFailed
		default:
			tr.stdin(fmt.Append(nil, "night ", i))
			stored = append(stored, i)
		}
		require.Equal(t, want, tr.run(line...), "night %d: %s", i, tr.stderr())
		expected := slices.Clone(others)
		for at, n := range stored {
			newest := stored[len(stored)-1]
			if len(stored)-at <= 5 || newest-n <= 8 {
				name := first.AddDate(0, 0, n).Format("db-2006-01-02.dump")
				expected = append(expected, name, name+sluice.ManifestSuffix)
			}
		}
		slices.Sort(expected)
		require.Equal(t, expected, slices.Sorted(slices.Values(names())), "after night %d", i)
	}
	require.Less(t, len(names())-len(others), 20)

	night()
	last := first.AddDate(0, 0, 39)
	tr.sys.now = func() time.Time { return last.AddDate(0, 0, 100) } // and no backups since
	before := names()
	require.Equal(t, exitDone, tr.again().run("prune", "--keep-within", "30d", base+"db-{time:%Y-%m-%d}.dump"), tr.stderr())
	require.Empty(t, tr.stdout.String(), "ages count from the newest file")
	require.Equal(t, before, names())
	require.Equal(t, exitDone, tr.again().run("prune", "--dry-run", "--keep-last", "1", base+"db-{time:%Y-%m-%d}.dump"), tr.stderr())
	require.Contains(t, tr.stderr(), "would be removed, 1 kept")
	require.Equal(t, before, names())
	wouldBe := tr.stdout.String()
	require.NotEmpty(t, wouldBe)
	require.Equal(t, exitDone, tr.again().run("prune", "--keep-last", "1", base+"db-{time:%Y-%m-%d}.dump"), tr.stderr())
	require.Equal(t, wouldBe, tr.stdout.String())
	require.Len(t, names(), len(others)+2)
}

func TestRetention_FortyNightsInAFolder(t *testing.T) {
	tr := realTrial(t)
	folder := t.TempDir()
	forty(t, tr, "file://"+folder+"/", slices.DeleteFunc(slices.Clone(others), func(n string) bool { return strings.Contains(n, "/") }), func() {}, func() (names []string) {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	})
}

func TestRetention_FortyNightsOnB2(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	forty(t, tr, "b2://test-bucket/", others, func() { s.Advance(24 * time.Hour) }, func() (names []string) {
		for _, f := range s.Files("test-bucket") {
			names = append(names, f.Name)
		}
		return names
	})
}

func TestRetention_FortyNightsOnAnS3Store(t *testing.T) {
	server := s3Trial(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	tr := realTrial(t)
	// the server keeps files in folders, and takes no file below one
	forty(t, tr, "s3://backups/nightly/", slices.DeleteFunc(slices.Clone(others), func(n string) bool { return strings.Contains(n, "/") }), func() {}, func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(server.Data, "backups", "nightly"))
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	})
}

// removable gives mem:// of the trial what retention needs. fail, unless nil, decides whether
// removing a file fails.
func (tr *trial) removable(fail func(name string) error) {
	open := tr.sys.schemes[0].open
	tr.sys.schemes[0].commands = allCommands
	tr.sys.schemes[0].open = func(ctx context.Context, rest string, o opening) (*destination, error) {
		d, err := open(ctx, rest, o)
		d.source = tr.store
		d.remove = func(ctx context.Context, f sluice.StoredFile) error {
			if fail != nil {
				if err := fail(f.Name); err != nil {
					return err
				}
			}
			return tr.store.Remove(ctx, f)
		}
		return d, err
	}
}

// holds stores files of these names.
func holds(t *testing.T, store *memorybackend.Backend, names ...string) {
	for _, name := range names {
		_, err := sluice.Upload(t.Context(), store, name, nil, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
		require.NoError(t, err)
	}
}

func TestRetention_RemovesNothingUnlessTheNewFileIsStored(t *testing.T) {
	old := []string{"db-2020-01-01", "db-2020-01-02"}
	for name, c := range map[string]struct {
		injector *faults.Injector
		size     int
		command  string
		exit     int
	}{
		"in doubt":         {faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(faults.Finish)), 5_000_000, "", exitUnknown},
		"finish fails":     {faults.Fail(nil, faults.OnKind(faults.Finish)), 5_000_000, "", exitFailed},
		"a part fails":     {faults.Fail(nil, faults.OnPart(1)), 5_000_000, "", exitFailed},
		"no byte comes":    {nil, 0, "", exitFailed},
		"CMD fails":        {nil, 0, "echo x; exit 1", exitCommand},
		"CMD, no --ok":     {nil, 0, "exit 1", exitCommand},
		"CMD says no word": {nil, 0, "exit 0", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			var injectors []*faults.Injector
			if c.injector != nil {
				injectors = append(injectors, c.injector)
			}
			tr := newTrial(t, injectors...)
			tr.removable(nil)
			holds(t, tr.store, old...)
			tr.stdin(noise(c.size))
			line := args("--keep-last", "1", "mem://db-{time:2006-01-02}")
			if c.command != "" {
				line = append(line, "--", "sh", "-c", c.command)
			}
			require.Equal(t, c.exit, tr.run(line...), tr.stderr())
			require.Subset(t, tr.store.Names(), old)
			require.NotContains(t, tr.object(), "removed")
		})
	}
}

func TestRetention_ReportsWhatItRemoved(t *testing.T) {
	tr := newTrial(t)
	tr.removable(nil)
	tr.sys.now = func() time.Time { return time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC) }
	holds(t, tr.store, "db-2020-01-01", "db-2020-01-01.manifest.json", "db-2020-01-02.manifest.json", "db-2026-11-26", "db-2026-11-28")
	for _, dry := range []bool{true, false} {
		tr.again().stdin([]byte("x"))
		line := args("--keep-last", "2", "mem://db-{time:2006-01-02}")
		if dry {
			line = append([]string{"--dry-run"}, line...)
		}
		require.Equal(t, exitDone, tr.run(line...), tr.stderr())
		if dry {
			require.Contains(t, tr.stderr(), "would remove db-2020-01-01, 1 bytes")
			require.Contains(t, tr.stderr(), "3 older files would be removed, 2 kept")
			require.NotContains(t, tr.object(), "removed")
			require.Len(t, tr.store.Names(), 6)
		}
	}
	require.Contains(t, tr.stderr(), "removed db-2020-01-01, 1 bytes")
	require.Contains(t, tr.stderr(), "3 older files removed, 2 kept")
	require.Equal(t, []any{"db-2020-01-01", "db-2020-01-01.manifest.json", "db-2020-01-02.manifest.json"}, tr.object()["removed"])
	require.Equal(t, []string{"db-2026-11-26", "db-2026-11-27", "db-2026-11-28"}, tr.store.Names())
}

// The clock of one night was wrong: files dated later do not count, and real ones stay.
func TestRetention_FilesDatedLaterCountForNothing(t *testing.T) {
	tr := newTrial(t)
	tr.removable(nil)
	tr.sys.now = func() time.Time { return time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC) }
	made := []string{"db-2026-11-25", "db-2026-11-26"}
	later := []string{"db-2099-01-01", "db-2099-01-02", "db-2099-01-03"}
	holds(t, tr.store, slices.Concat(made, later)...)
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run(args("--keep-last", "3", "mem://db-{time:2006-01-02}")...), tr.stderr())
	require.Equal(t, slices.Concat(made, []string{"db-2026-11-27"}, later), tr.store.Names())

	tr.sys.now = func() time.Time { return time.Date(2020, 1, 1, 3, 0, 0, 0, time.UTC) } // and now the clock is behind
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.again().run(args("--keep-last", "1", "mem://db-{time:2006-01-02}")...), tr.stderr())
	require.Len(t, tr.store.Names(), 7)
}

func TestRetention_MonthsStayWhileTheirEndIsWithin(t *testing.T) {
	tr := newTrial(t)
	tr.removable(nil)
	tr.sys.now = func() time.Time { return time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC) }
	holds(t, tr.store, "db-2026-08", "db-2026-09", "db-2026-10", "db-2026-9")
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run(args("--keep-within", "30d", "mem://db-{time:2006-01}")...), tr.stderr())
	require.Equal(t, []string{"db-2026-10", "db-2026-11", "db-2026-9"}, tr.store.Names())
}

func TestRetention_ObjectLockIsReportedAndNoFailure(t *testing.T) {
	tr := newTrial(t)
	tr.removable(func(name string) error {
		if strings.HasPrefix(name, "db-2020") {
			return fmt.Errorf("%s: %w", name, sluice.ErrLocked)
		}
		return nil
	})
	holds(t, tr.store, "db-2020-01-01", "db-2020-01-02", "db-2021-01-01")
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run("put", "-q", "--json", "--keep-last", "1", "mem://db-{time:2006-01-02}"), tr.stderr())
	require.Contains(t, tr.stderr(), "1 older file removed, 1 kept, 2 older files locked, such as: db-2020-01-01: sluice: file is locked")
	require.EqualValues(t, 2, tr.object()["locked"])
	require.Len(t, tr.store.Names(), 3)
}

func TestRetention_OtherFailuresAreReportedWithTheStoredFile(t *testing.T) {
	tr := newTrial(t)
	tr.removable(func(string) error { return errors.New("no permission") })
	holds(t, tr.store, "db-2020-01-01", "db-2020-01-02")
	tr.stdin([]byte("x"))
	require.Equal(t, exitFailed, tr.run(args("--keep-last", "1", "mem://db-{time:2006-01-02}")...))
	require.Regexp(t, `mem://db-20\d\d-\d\d-\d\d is stored, but older files were not all removed: no permission`, tr.stderr())
	require.Equal(t, 1, strings.Count(tr.stderr(), "no permission"), "the first failure ends it")
	o := tr.object()
	require.NotEmpty(t, o["id"])
	require.EqualValues(t, 1, o["size"])
	require.Contains(t, o["error"], "no permission")
}

func TestRetention_AllVersionsOfANameGo(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	for _, name := range []string{"db-2020-01-01", "db-2020-01-01", "db-2020-01-01", "db-2020-01-02"} {
		tr.stdin([]byte("x"))
		require.Equal(t, exitDone, tr.run("put", "-q", "b2://test-bucket/"+name), tr.stderr())
	}
	require.Equal(t, exitDone, tr.again().run("prune", "--json", "--keep-last", "1", "b2://test-bucket/db-{time:2006-01-02}"), tr.stderr())
	require.Equal(t, "db-2020-01-01", tr.object()["name"])
	require.Len(t, s.Files("test-bucket"), 1)
	require.Equal(t, 3, s.Count("b2_delete_file_version"))
}

// A retention in force: the service's own refusal.
func TestRetention_ObjectLockOfB2(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	_, err := s.AddBucket(b2test.Bucket{Name: "locked-bucket", FileLock: true})
	require.NoError(t, err)
	for _, name := range []string{"db-2020-01-01", "db-2020-01-02"} {
		tr.stdin([]byte("x"))
		require.Equal(t, exitDone, tr.run("put", "-q", "--retention", "compliance:30d", "b2://locked-bucket/"+name), tr.stderr())
	}
	require.Equal(t, exitDone, tr.again().run("prune", "-q", "--keep-last", "1", "b2://locked-bucket/db-{time:2006-01-02}"), tr.stderr())
	require.Regexp(t, `0 older files removed, 1 kept, 1 older file locked, such as: .*Object Lock \(compliance\) keeps it until `, tr.stderr())
	require.Len(t, s.Files("locked-bucket"), 2)
}

func TestRetention_WhatCannotBeMeantIsWrongUsage(t *testing.T) {
	for line, says := range map[string]string{
		"put --keep-last 3 mem://db":                             `"db" has no date`,
		"put --keep-last 0 mem://db-{time:2006-01-02}":           "must be a number that is at least 1",
		"put --keep-last -1 mem://db-{time:2006-01-02}":          "must be a number that is at least 1",
		"put --keep-within 0s mem://db-{time:2006-01-02}":        "--keep-within must be longer than 0",
		"put --keep-within -5d mem://db-{time:2006-01-02}":       "must be a length of time",
		"put --keep-last 3 mem://db-{time:%G-W%V}":               "cannot be read back",
		"put --keep-last 3 mem://db-{time:15-04}":                "does not tell which of two files is older",
		"put --dry-run mem://db-{time:2006-01-02}":               "neither is given",
		"prune mem://db-{time:2006-01-02}":                       "sluice prune needs --keep-last or --keep-within",
		"prune --keep-last 3 mem://db":                           `"db" has no date`,
		"prune --keep-last 3 mem://":                             "has no date",
		"prune --keep-last 3":                                    "needs a DEST",
		"prune --keep-last 3 mem://db-{time:2006-01-02} mem://y": "one argument too many",
	} {
		t.Run(line, func(t *testing.T) {
			tr := newTrial(t)
			tr.removable(nil)
			holds(t, tr.store, "db-2020-01-01", "db-2020-01-02", "db-2020-01-03", "db-2020-01-04")
			require.Equal(t, exitUsage, tr.run(append(strings.Fields(line), "--timeout", "1h")...))
			require.Contains(t, tr.stderr(), says)
			require.Len(t, tr.store.Names(), 4)
		})
	}
	tr := realTrial(t)
	require.Equal(t, exitUsage, tr.run("--keep-last", "3", "mem://db-{time:2006-01-02}"))
	require.Contains(t, tr.stderr(), "mem:// has no command rm, and cannot honour --keep-last")
	require.Equal(t, exitUsage, tr.again().run("prune", "--keep-last", "3", "mem://db-{time:2006-01-02}"))
	require.Contains(t, tr.stderr(), "mem:// has no command prune")
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, time.Now().Format("2006")), 0o700))
	require.Equal(t, exitUsage, tr.again().run("prune", "--keep-last", "3", "file://"+folder+"/{time:2006}/db-{time:2006-01-02}"))
	require.Contains(t, tr.stderr(), "the date must be in the name of the file")
}
