package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDatedNames_ReadWhatThePatternMade(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, pattern := range []string{
		"db-{time:2006-01-02}.dump",
		"db-{time:%Y-%m-%d}.dump",
		"2006-01-02 {time:2006-01-02} 15:04", // text that looks like a layout
		"{time:2006}/{time:01}/{time:02}-x",
		"{time:2006}{time:01}{time:02}",
		"{time:2006/01}/db-{time:2006-01-02T15-04}",
		"{time:20060102T150405.000}-{time:MST}",
		"{time:2006-01-02T15:04:05Z07:00}",
		"{time:2006-1-2}-{time:15-4}-x",
		"{time:January 2, 2006}",
		"{time:Monday}-{time:2006-002}",
		"{time:%F_%H%M%S}",
		"{time:%Y%j}.{time:%H}",
		"a{time:06}b{time:01}c",
		"{time:2006}",
		"{time:%d.%m.%Y %I %p}",
	} {
		names, err := newDatedNames(pattern)
		require.NoError(t, err, pattern)
		for _, zone := range []*time.Location{time.UTC, berlin, time.FixedZone("XYZ", -12*3600)} {
			for hours := range 24 * 40 { // over the end of summer time
				now := time.Date(2026, 10, 1, 0, 30, 15, 123_456_789, zone).Add(time.Duration(hours) * time.Hour)
				name, err := expandTime(pattern, now)
				require.NoError(t, err)
				made, ok := names.read(name)
				require.True(t, ok, name)
				require.False(t, wallClock(made).After(wallClock(now)), name)
				require.True(t, wallClock(names.end(made)).After(wallClock(now)), name)
			}
		}
	}
}

func TestDatedNames_RejectNamesThatThePatternCannotHaveMade(t *testing.T) {
	for pattern, foreign := range map[string][]string{
		"db-{time:2006-01-02}.dump": {
			"", "db-", "db-latest.dump", "db-2026-11-20.dump.old", "xdb-2026-11-20.dump", "db-2026-11-31.dump", "db-2026-02-29.dump",
			"db-2026-1-2.dump", "db-2026-01-02", "db-02026-01-02.dump", "db-2026-13-01.dump", "db-2026-00-00.dump", "db-2026-11-20 .dump",
			"db-2026-11-20.dump.manifest.json", "db-２０２６-11-20.dump", "db-{time:2006-01-02}.dump", "DB-2026-11-20.dump",
		},
		"db-{time:20060102}-{time:150405}": {"db-20261120-250000", "db-20261120-235960", "db-20261120-235959.5", "db-20261120235959"},
		"{time:Jan 2 2006}":                {"jan 2 2026", "NOV 20 2026", "Nov 02 2026", "Nov  2 2026"},
		"{time:Mon 2006-01-02}":            {"Mon 2026-11-20"}, // which was a Friday
		"{time:2006}/{time:2006-01-02}":    {"2025/2026-11-20"},
		"{time:%Y-%m-%d %P %I}":            {"2026-11-20 pm 00", "2026-11-20 PM 01"},
	} {
		names, err := newDatedNames(pattern)
		require.NoError(t, err, pattern)
		for _, name := range foreign {
			made, ok := names.read(name)
			require.False(t, ok, "%q %q was read as %v", pattern, name, made)
		}
	}
}

func TestDatedNames_RejectPatternsThatTellNoOrder(t *testing.T) {
	for _, pattern := range []string{
		"db", "db-{time:Mon}", "db-{time:01-02}", "{time:15-04}", "{time:2006-02}", "{time:2006-01-02}T{time:03-04}",
		"{time:%G-W%V}", "{time:%Y-W%U}", "{time:%s}", "{time:%Y-1-%d}", "{time:January}", "{time:2006-01-02 05}", "{time:-0700}",
		"{time:200612}", "{time:2006}{time:1}{time:2}", "{time:2006-01-02-1545}", "{time:2006-01-02-15}{time:4}{time:5}",
	} {
		_, err := newDatedNames(pattern)
		require.Error(t, err, pattern)
	}
}

// A name of another program may be long, and made to be read in many ways.
func TestDatedNames_AreReadInBoundedTime(t *testing.T) {
	names, err := newDatedNames("{time:2006}{time:01}{time:02}{time:15}{time:04}{time:05}{time:Z0700}")
	require.NoError(t, err)
	long := make([]byte, 1024)
	for i := range long {
		long[i] = '1'
	}
	_, ok := names.read(string(long))
	require.False(t, ok)
}
