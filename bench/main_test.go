package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// TestMain lets the processes that a measurement starts be this test's own program.
func TestMain(m *testing.M) {
	if roles.Play(os.Args) {
		return
	}
	// Built for the race detector a process sleeps for a second before it
	// exits, and there are many.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// tiny is every kind of row, as small as can be.
var tiny = []string{
	"-quick", "-size", "11MiB", "-lengths", "4KiB,11MiB", "-latency", "1ms", "-concurrency", "2", "-parts", "5MiB", "-bandwidth", "500MB",
	"-writers", "1,3", "-lineparts", "9",
}

// bench runs the program and returns what it says.
func bench(t *testing.T, args ...string) string {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), args, &stdout, &stderr), "%s", stderr.String())
	return stdout.String()
}

// documents are a folder with the places that the real document has.
func documents(t *testing.T) string {
	folder := t.TempDir()
	text, err := os.ReadFile(filepath.Join("..", "docs", lab.Document))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, lab.Document), text, 0o644))
	return folder
}

func TestEveryRowIsMeasuredShownAndReported(t *testing.T) {
	folder := documents(t)
	file := filepath.Join(folder, "result.json")
	said := bench(t, append(append(tiny, "-json", file, "-o", folder), names()...)...)

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(text, &r))
	require.Len(t, r.Rows, 12+1+1+(2+2+3)+2*3+(4+3))
	report, err := os.ReadFile(filepath.Join(folder, lab.Document))
	require.NoError(t, err)
	for _, o := range r.Rows {
		require.Len(t, o.Samples, 1)
		require.Equal(t, o.Job.Size, o.Samples[0].Bytes, o.Name)
		require.Positive(t, o.Samples[0].Wall, o.Name)
		if group, _, _ := strings.Cut(o.Name, "/"); group != "links" && group != "fair" && o.Job.PageSize == 0 {
			require.Positive(t, o.OfLimit.Median(), o.Name)
		}
		if o.Job.Writers == 0 && o.Job.PageSize == 0 {
			_, name, _ := strings.Cut(o.Name, "/")
			require.Contains(t, said, name)
			require.Contains(t, string(report), name)
		}
	}
	for _, l := range r.Limits {
		require.Positive(t, l.Samples[0].Wall, "%v", l.Job)
	}
}

func TestTargetsTakeThePlaceOfThoseReportedBefore(t *testing.T) {
	folder := documents(t)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append(tiny, "-targets", "-o", folder), &stdout, &stderr)
	require.Equal(t, 1, code, "so short a stream keeps no promise: %s", stderr.String())
	report, err := os.ReadFile(filepath.Join(folder, lab.Document))
	require.NoError(t, err)
	for _, target := range quick().targets() {
		require.Equal(t, 1, strings.Count(string(report), "| "+target.text+" | "), target.text)
	}
}

func TestAProfileTellsWhereTheTimeGoes(t *testing.T) {
	folder, profiles := documents(t), t.TempDir()
	said := bench(t, "-quick", "-size", "256MiB", "-only", "paths/drop/reader", "-profile", profiles, "-o", folder)
	require.Regexp(t, `paths/drop/reader +[0-9.]+ +[0-9]{2}\.[0-9] % `, said, "a tenth of it or more is hashing")
	info, err := os.Stat(filepath.Join(profiles, "paths-drop-reader-1.pprof"))
	require.NoError(t, err)
	require.Positive(t, info.Size())
	report, err := os.ReadFile(filepath.Join(folder, lab.Document))
	require.NoError(t, err)
	require.Contains(t, string(report), "| paths/drop/reader | ")
}

func TestOnlyChoosesRowsAndAGroupItsOwn(t *testing.T) {
	said := bench(t, append(tiny, "-only", "/drop/pipe$", "paths", "growth")...)
	require.Contains(t, said, "paths/drop/pipe")
	require.NotContains(t, said, "b2")
}

func TestAMissedTargetIsSaidAndFails(t *testing.T) {
	s := quick()
	targets := s.targets()[:1]
	row := targetRows(targets)[0]
	for cpu, want := range map[float64]bool{1.04: true, 1.06: false} {
		r := newResult(nil, targetRows(targets), 1, map[job][]sample{
			row.stream:          {{Bytes: 1, Wall: 1, CPU: cpu}},
			s.take(fromReader):  {{Bytes: 1, Wall: 1, CPU: 7}}, // is in no promise
			s.sole(workSHA1):    {{Bytes: 1, Wall: 1, CPU: 0.7}},
			posting(row.stream): {{Bytes: 1, Wall: 1, CPU: 0.3}},
		})
		section, met := targetSection(targets, r)
		require.Equal(t, want, met)
		require.Equal(t, !want, section.tables[0].Rows[0][3] == "MISSED")
	}
	_, met := targetSection(targets, newResult(nil, targetRows(targets), 1, map[job][]sample{row.stream: {{Bytes: 1, Wall: 1}}}))
	require.False(t, met, "no limit was measured")
}

func TestEveryTargetHasARow(t *testing.T) {
	s := defaults()
	require.Len(t, targetRows(s.targets()), 9)
	for _, r := range targetRows(s.targets()) {
		require.NotEmpty(t, r.wall, r.name)
		require.NotEmpty(t, r.cpu, r.name)
	}
}
