package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever else was measured in the same run.
func TestATableShowsTheLimitsOfItsOwnRowsAlone(t *testing.T) {
	s := quick()
	rows := []row{s.newRow("paths/b2", s.path(toB2, fromReader, s.size)), s.newRow("growth/drop", s.path(toDrop, fromReader, s.size))}
	samples := make(map[job][]sample)
	for _, j := range jobs(rows) {
		samples[j] = []sample{{Bytes: 1, Wall: 1, CPU: 1}}
	}
	r := newResult(nil, rows, 1, samples)
	var shown []string
	for _, cells := range r.limitsOf(r.Rows[:1]).Rows {
		shown = append(shown, cells[0])
	}
	require.Equal(t, []string{s.take(fromReader).String(), s.sole(workSHA1).String(), posting(rows[0].stream).String()}, shown)
}

// JSON has no word for 0 / 0.
func TestAResultInWhichNothingWasTakenCanBeWritten(t *testing.T) {
	none := &together{streams: make([]*stream, 2)}
	for i := range none.streams {
		none.streams[i] = new(stream)
	}
	for range none.streams {
		none.begins()
	}
	none.ends()
	s := quick()
	rows := []row{s.newRow("paths/b2", s.path(toB2, fromReader, s.size))}
	samples := make(map[job][]sample)
	for _, j := range jobs(rows) {
		samples[j] = []sample{{Least: none.least}}
	}
	file := filepath.Join(t.TempDir(), "result.json")
	args := []string{"-json", file}
	require.NoError(t, newResult(args, rows, 1, samples).writeJSON(file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var r result
	require.NoError(t, json.Unmarshal(text, &r))
	require.Equal(t, args, r.Command)
}
