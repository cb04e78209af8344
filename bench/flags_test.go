package main

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mistake runs the program with args that it must refuse before anything runs,
// and returns what it says.
func mistake(t *testing.T, args ...string) string {
	var stdout, stderr bytes.Buffer
	require.Equal(t, 2, run(t.Context(), args, &stdout, &stderr), "%q", args)
	require.Empty(t, stdout.String())
	return stderr.String()
}

func TestMistakesInFlagsAreNamedWithTheirLimits(t *testing.T) {
	for text, args := range map[string][]string{
		`no group "x"; there are paths, settings,`: {"x"},
		"unknown unit":         {"-size", "1parsec"},
		"missing closing":      {"-only", "("},
		"flag provided but no": {"-fast"},
		`value "-1" for flag -rounds: -1 is not between 1 and 1000`:          {"-rounds", "-1"},
		`value "0" for flag -rounds: 0 is not between 1 and 1000`:            {"-rounds", "0"},
		"flag -size: 0 bytes is not between 1 bytes and 10 TB":               {"-size", "0"},
		"flag -lengths: 0 bytes is not between 1 bytes and 10 TB":            {"-lengths", "1,0"},
		"flag -parts: 0 bytes is not between 5 MB and 5 GB":                  {"-parts", "5MiB,0"},
		"flag -parts: 6 GB is not between 5 MB and 5 GB":                     {"-parts", "6GB"},
		"flag -concurrency: -1 is not between 0 and 10000":                   {"-concurrency", "4,-1"},
		"flag -memory: 0 bytes is not between 10 MB and 1 TiB":               {"-memory", "0"},
		"flag -latency: -1s is not between 0s and 1m0s":                      {"-latency", "-1s"},
		"flag -bandwidth: 0 bytes is not between 1 kB":                       {"-bandwidth", "0"},
		"flag -writers: 0 is not between 1 and 10000":                        {"-writers", "0"},
		"flag -lineparts: 0 is not between 1 and 10000":                      {"-lineparts", "0"},
		"-targets has rows of its own and takes no group, such as \"paths\"": {"-targets", "paths"},
		"-profile measures no figures for -json x":                           {"-profile", "p", "-json", "x"},
		"-only nothing like it matches no row":                               {"-only", "nothing like it"},
	} {
		require.Contains(t, mistake(t, args...), text)
	}
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "-targets")
}

func TestWhatWouldFailAfterHoursIsFoundAtOnce(t *testing.T) {
	for text, args := range map[string][]string{
		"settings/16 MiB x 1 in 16 MiB: sluice: open \"bench\": Options.PartSize 16 MiB is not between 5 MB and 8 MiB": {"-memory", "16MiB", "settings"},
		"a stream of 1 TB is over 603.9 GB, the most that 128 MiB of memory carry":                                     {"-lengths", "1TB", "growth"},
		"result.json":    {"-json", filepath.Join(t.TempDir(), "none", "result.json")},
		"PERFORMANCE.md": {"-o", t.TempDir()},
	} {
		require.Contains(t, mistake(t, args...), text)
	}
}

func TestEveryStreamThatIsMeasuredByDefaultCanBe(t *testing.T) {
	for _, args := range [][]string{names(), {"-targets"}, append([]string{"-quick"}, names()...), {"-quick", "-targets"}, {"-profile", "p"}} {
		var stderr bytes.Buffer
		c, err := parse(args, &stderr)
		require.NoError(t, err)
		require.NoError(t, c.check(t.Context()))
		require.NotEmpty(t, c.rows)
	}
}

func TestFlagsChangeTheSetThatIsChosenWhereverTheyStand(t *testing.T) {
	for _, args := range [][]string{{"-quick", "-latency", "7ms", "-lineparts", "9"}, {"-latency", "7ms", "-lineparts", "9", "-quick"}} {
		var stderr bytes.Buffer
		c, err := parse(args, &stderr)
		require.NoError(t, err)
		want := quick()
		want.latencies, want.lineParts = []time.Duration{7 * time.Millisecond}, 9
		require.Equal(t, want, c.settings)
		require.Equal(t, 1, c.rounds)
	}
}
