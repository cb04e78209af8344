package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the processes that a measurement starts be this test's own program.
func TestMain(m *testing.M) {
	if roles.Play(os.Args) {
		return
	}
	// Built for the race detector a process sleeps for a second before it exits, and there are many.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// tiny is every kind of row, as small as can be.
var tiny = []string{
	"-quick", "-size", "11MiB", "-lengths", "4KiB,11MiB", "-latency", "1ms", "-concurrency", "2", "-parts", "5MiB", "-bandwidth", "500MB",
}

func TestEveryRowIsMeasuredAndDrawn(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "result.json")
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), append(tiny, "-json", file, "-svg", folder), &stdout, &stderr), "%s", stderr.String())

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(text, &r))
	require.Len(t, r.Rows, 12+1+1+2)
	for _, o := range r.Rows {
		require.Contains(t, stdout.String(), o.Name)
		require.Len(t, o.Samples, 1)
		require.Equal(t, o.Job.Size, o.Samples[0].Bytes, o.Name)
		require.Positive(t, o.Samples[0].Wall, o.Name)
		require.Positive(t, o.OfLimit.Median(), o.Name)
	}
	for _, l := range r.Limits {
		require.Positive(t, l.Samples[0].Wall, "%v", l.Job)
	}
	for _, name := range []string{"links.svg", "length.svg", "share.svg"} {
		picture, err := os.Open(filepath.Join(folder, name))
		require.NoError(t, err)
		defer picture.Close()
		for d := xml.NewDecoder(picture); err == nil; {
			_, err = d.Token()
		}
		require.ErrorIs(t, err, io.EOF, name)
	}
}

func TestAProfileIsWrittenForEachRow(t *testing.T) {
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), append(tiny, "-only", "paths/drop/reader", "-profile", folder), &stdout, &stderr), "%s", stderr.String())
	info, err := os.Stat(filepath.Join(folder, "paths-drop-reader.pprof"))
	require.NoError(t, err)
	require.Positive(t, info.Size())
}

func TestOnlyChoosesRows(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), append(tiny, "-only", "^paths/drop/pipe$"), &stdout, &stderr), "%s", stderr.String())
	require.Contains(t, stdout.String(), "paths/drop/pipe")
	require.NotContains(t, stdout.String(), "b2")
	require.Equal(t, 1, run(t.Context(), []string{"-only", "nothing like it"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "matches no row")
}

func TestAMissedTargetIsSaidAndFails(t *testing.T) {
	s := quick()
	targets := s.targets()[:1]
	rows := targetRows(targets)
	r := result{Rows: []outcome{{Name: rows[0].name}}}
	for share, want := range map[float64]bool{1.04: true, 1.06: false} {
		r.Rows[0].CPUOver = []float64{share, share, 9}
		var out strings.Builder
		met, err := writeTargets(&out, targets, r)
		require.NoError(t, err)
		require.Equal(t, want, met)
		require.Equal(t, !want, strings.Contains(out.String(), "MISSED"))
	}
}

func TestEveryTargetHasARow(t *testing.T) {
	s := defaults()
	require.Len(t, targetRows(s.targets()), 7)
	for _, r := range targetRows(s.targets()) {
		require.NotEmpty(t, r.wall, r.name)
		require.NotEmpty(t, r.cpu, r.name)
	}
}

func TestMistakesInFlagsAreNamed(t *testing.T) {
	for text, args := range map[string][]string{
		"unexpected argument":  {"x"},
		"unknown unit":         {"-size", "1parsec"},
		"negative":             {"-rounds", "-1"},
		"at least 1 byte":      {"-lengths", "0"},
		"missing closing":      {"-only", "("},
		"flag provided but no": {"-fast"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), args, &stdout, &stderr), text)
		require.Contains(t, stderr.String(), text)
	}
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "-targets")
}
