package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// Before the first byte and after it, the program says within some seconds why nothing moves.
func TestSilence_IsReportedWithTheLastFailure(t *testing.T) {
	for call, args := range map[string]string{
		"b2_authorize_account":           "put b2://test-bucket/x",
		"b2_upload_file":                 "put b2://test-bucket/x",
		"b2_get_file_info":               "get b2://test-bucket/there",
		"b2_list_unfinished_large_files": "unfinished b2://test-bucket/",
	} {
		t.Run(call, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, v *virtual) {
				v.file(noise(1 << 20))
				require.Equal(t, exitDone, v.run("-q", "b2://test-bucket/there"), v.stderr())
				require.NoError(t, v.server.Inject(b2test.Fault{Call: call, Status: 503, Count: -1}))
				v.again()
				v.file(noise(100))
				require.NotEqual(t, exitDone, v.run(append(strings.Fields(args), "--timeout", "12s")...))
				require.Regexp(t, `(?m)^\S+ \S+ sluice: nothing has moved for 1\ds: waiting for the store; last failure: .*`+call+`.*503 `, v.stderr())

				v.again()
				v.file(noise(100))
				require.NotEqual(t, exitDone, v.run(append(strings.Fields(args), "-q", "--timeout", "12s")...))
				require.NotContains(t, v.stderr(), "nothing has moved")
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestSilence_IsReportedMoreAndMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s silence
		var said []string
		for range 7 * 60 {
			time.Sleep(time.Second)
			if text := s.look(time.Now(), 5, "the source", ""); text != "" {
				said = append(said, text)
			}
		}
		require.Equal(t, []string{
			"sluice: nothing has moved for 10s: waiting for the source",
			"sluice: nothing has moved for 1m0s: waiting for the source",
			"sluice: nothing has moved for 6m0s: waiting for the source",
		}, said)
		require.Empty(t, s.look(time.Now(), 6, "", ""), "it moves again")
		time.Sleep(silenceAge)
		require.NotEmpty(t, s.look(time.Now(), 6, "the store", "x"))
	})
}
