package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestProgressTellsBytesRatesPartsRepeatsWaitsAndTheEnd(t *testing.T) {
	var r recent
	r.line(sample{sluice.Stats{Elapsed: time.Second, Sent: 1e6, WaitSource: time.Second}, 2e6}, 0)
	line := r.line(sample{sluice.Stats{
		Elapsed: 3 * time.Second, Sent: 9e6, Acknowledged: 8e6, PartsInFlight: 4, Retries: 2, Restarts: 1,
		WaitSource: time.Second, WaitNetwork: 1900 * time.Millisecond, WaitMemory: 100 * time.Millisecond,
	}, 12.3e6}, 6*time.Second)
	require.Equal(t, "12.3 MB in, 8 MB stored, 4 MB/s now, 3 MB/s mean, 4 in flight, 2 retries, 1 restart, waiting for the network, 6s left", line)
}

func TestOneOfAKindIsSaidInTheSingularAndNoneNotAtAll(t *testing.T) {
	require.Empty(t, repeated(sluice.Stats{}))
	require.Equal(t, ", 1 retry, 3 restarts", repeated(sluice.Stats{Retries: 1, Restarts: 3}))
}

func TestProgressOfUnknownLengthTellsNoEnd(t *testing.T) {
	var r recent
	line := r.line(sample{sluice.Stats{Elapsed: 2 * time.Second, Sent: 1e6, WaitMemory: 2 * time.Second}, 2e6}, 0)
	require.Equal(t, "2 MB in, 0 bytes stored, 500 kB/s now, 500 kB/s mean, 0 in flight, waiting for memory", line)
}

func TestTheRateNowIsThatOfTheLastSamples(t *testing.T) {
	var r recent
	var line string
	for i := range 3 * recentSamples {
		sent := int64(1e9)
		if i >= 2*recentSamples-1 {
			sent += int64(i) * 1e6
		} else {
			sent += int64(2*recentSamples-1) * 1e6
		}
		line = r.line(sample{sluice.Stats{Elapsed: time.Duration(i+1) * time.Second, Sent: sent}, sent}, 0)
	}
	require.Contains(t, line, " 1 MB/s now")
	require.Len(t, r, recentSamples)
}

func TestOffATerminalALineEvery30Seconds(t *testing.T) {
	tr := newTrial(t)
	_, w := tr.openStdin()
	done := make(chan int)
	go func() { done <- tr.run(args("mem://x")...) }()
	// more than a pipe holds: when it returns the stream is open
	_, err := w.Write(noise(3_000_000))
	require.NoError(t, err)
	for range 3 { // the third is taken when the second has been written
		tr.ticks <- time.Time{}
	}
	w.Close()
	require.Equal(t, exitDone, <-done)
	require.Equal(t, 30*time.Second, tr.ticking)
	require.Regexp(t, `(?m)^\S+ \S+ [0-9.]+ MB in, .* waiting for the source$`, tr.stderr())
	require.NotContains(t, tr.stderr(), "\r")
}

func TestQuietAsksForNoTicks(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("-q", "mem://x"))
	require.Zero(t, tr.ticking)
}

func TestALineIsCutToTheWidthOfTheTerminal(t *testing.T) {
	require.Equal(t, "äöü", cut("äöü", 3))
	require.Equal(t, "äö", cut("äö ü", 3))
}
