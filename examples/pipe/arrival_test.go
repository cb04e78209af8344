package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestTheLineOfADownloadSaysHowLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arrival{size: 100_000, began: time.Now()}
		var r arrivals
		require.Equal(t, "0 bytes of 100 kB received, 0 bytes/s now, 0 bytes/s mean", r.line(a))
		for range recentSamples {
			time.Sleep(time.Second)
			_, _ = a.Write(make([]byte, 1000))
			r.line(a)
		}
		time.Sleep(time.Second)
		_, _ = a.Write(make([]byte, 12_000))
		require.Equal(t, "22 kB of 100 kB received, 2.1 kB/s now, 2 kB/s mean, 39s left", r.line(a))
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
				b2test.Fault{Call: "b2_download_file_by_name", Kind: b2test.Truncate},
				b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Wait, Hold: hold}))
			require.Equal(t, exitDone, v.run(append(strings.Fields(args), "b2://test-bucket/x")...), v.stderr())
			require.Equal(t, data, v.stdout.Bytes())
			require.Equal(t, lines, strings.Count(v.stderr(), "500 bytes of 1 kB received, "), v.stderr())
		})
	}
}
