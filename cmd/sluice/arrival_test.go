package main

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestTheLineOfADownloadSaysHowLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arrival{size: 100_000, began: time.Now()}
		var r arrivals
		line := func() string {
			text, _ := r.line(a)
			return text
		}
		require.Equal(t, "0 bytes of 100 kB received, 0 bytes/s now, 0 bytes/s mean", line())
		for range recentSamples {
			time.Sleep(time.Second)
			_, _ = a.Write(make([]byte, 1000))
			line()
		}
		time.Sleep(time.Second)
		_, _ = a.Write(make([]byte, 12_000))
		require.Equal(t, "22 kB of 100 kB received, 2.1 kB/s now, 2 kB/s mean, 39s left", line())
	})
}

// A download that hangs for two minutes, off a terminal.
func TestOffATerminalADownloadSaysALineEvery30Seconds(t *testing.T) {
	for args, lines := range map[string]int{"get": 3, "get -q": 0} {
		inVirtualTime(t, func(t *testing.T, v *virtual) {
			data := noise(1000)
			v.file(data)
			require.Equal(t, exitDone, v.run("-q", "b2://test-bucket/x"), v.stderr())
			hold := make(chan struct{})
			time.AfterFunc(100*time.Second, func() { close(hold) })
			require.NoError(t, v.server.Inject(
				b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Truncate},
				b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Wait, Hold: hold}))
			require.Equal(t, exitDone, v.run(append(strings.Fields(args), "b2://test-bucket/x")...), v.stderr())
			require.Equal(t, data, v.stdout.Bytes())
			require.Equal(t, lines, strings.Count(v.stderr(), "500 bytes of 1 kB received, "), v.stderr())
		})
	}
}

func TestAHugeSize_HasNoNegativeRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arrival{size: math.MaxInt64, began: time.Now()}
		time.Sleep(time.Hour)
		_, _ = a.Write([]byte("x"))
		line, _ := new(arrivals).line(a)
		require.Equal(t, "1 bytes of 9223372 TB received, 0 bytes/s now, 0 bytes/s mean, 2562047h47m16.854775807s left", line)
	})
	require.Equal(t, "9223372 TB/s", perSecond(math.MaxInt64, time.Nanosecond))
	j := &job{config: &config{session: &session{dest: "mem://x"}}}
	known := sluice.Receipt{Size: math.MaxInt64, Digests: sluice.Digests{{Name: "md5"}}}
	for text, parts := range map[string][]sluice.Receipt{
		"2 parts, 9223372 TB are stored; each is reused if":                                              {known, known},
		"; the store does not tell their digests, so all are sent again":                                 {{Size: 1}, {Size: 1}},
		"; the store does not tell the digests of 1, which are sent again, and the others are reused if": {known, {Size: 1}},
	} {
		j.large.Store(&sluice.LargeFileInfo{ID: "l", Stored: parts})
		require.Contains(t, j.resumed(), text)
	}
	s := sluice.Stats{Elapsed: time.Hour, Sent: 1}
	require.Equal(t, time.Duration(math.MaxInt64), s.TimeLeft(math.MaxInt64))
}
