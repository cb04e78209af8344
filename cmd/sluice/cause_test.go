package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// The store refuses one call again and again, until --timeout has passed or a
// signal comes. What the store answered is in the error, whatever the call.
func TestRun_SaysWhatTheStoreAnsweredBeforeItWasEnded(t *testing.T) {
	for call, c := range map[string]struct {
		args   string
		size   int
		kept   bool // there is an unfinished large file
		broken bool // the download has begun
	}{
		"b2_authorize_account":            {args: "b2://test-bucket/x", size: 10},
		"b2_list_buckets":                 {args: "b2://test-bucket/x", size: 10},
		"b2_get_upload_url":               {args: "b2://test-bucket/x", size: 10},
		"b2_upload_file":                  {args: "b2://test-bucket/x", size: 10},
		"b2_start_large_file":             {args: "--part-size 1MiB b2://test-bucket/x", size: 3 << 20},
		"b2_get_upload_part_url":          {args: "--part-size 1MiB b2://test-bucket/x", size: 3 << 20},
		"b2_upload_part":                  {args: "--part-size 1MiB b2://test-bucket/x", size: 3 << 20},
		"b2_finish_large_file":            {args: "--part-size 1MiB b2://test-bucket/x", size: 3 << 20},
		"b2_list_unfinished_large_files":  {args: "unfinished b2://test-bucket/x"},
		"b2_list_unfinished_large_files ": {args: "cancel b2://test-bucket/x"},
		"b2_list_parts":                   {args: "--resume b2://test-bucket/kept", size: 10, kept: true},
		"b2_cancel_large_file":            {args: "cancel b2://test-bucket/kept", kept: true},
		"b2_download_file_by_name":        {args: "get b2://test-bucket/there"},
		"b2_get_file_info":                {args: "get b2://test-bucket/there"},
		"b2_list_file_names":              {args: "ls b2://test-bucket/"},
		"b2_delete_file_version":          {args: "rm --yes b2://test-bucket/there"},
		"b2_download_file_by_id":          {args: "get b2://test-bucket/there", broken: true},
	} {
		for _, signal := range []bool{false, true} {
			t.Run(call+map[bool]string{true: " signal"}[signal], func(t *testing.T) {
				inVirtualTime(t, func(t *testing.T, v *virtual) {
					v.file(noise(1 << 20))
					require.Equal(t, exitDone, v.run("-q", "b2://test-bucket/there"), v.stderr())
					if c.kept {
						v.leave(v.server, "kept")
					}
					v.server.ExpectUnfinished("x", "kept")
					call := strings.TrimSpace(call)
					if c.broken {
						require.NoError(t, v.server.Inject(b2test.Fault{Call: "b2_download_file_by_id", Kind: b2test.Truncate}))
					}
					require.NoError(t, v.server.Inject(b2test.Fault{Call: call, Status: 503, Count: -1}))
					v.again()
					v.file(noise(c.size))
					args, cause := strings.Fields(c.args), "signal: terminated"
					if signal {
						time.AfterFunc(20*time.Second, func() { v.signals <- syscall.SIGTERM })
					} else {
						cause = "--timeout 20s has passed"
						args = append(args, "--timeout", "20s")
					}
					require.NotEqual(t, exitDone, v.run(args...))
					require.Contains(t, v.stderr(), cause+" (last failure: "+call+": 503 ")
					require.Equal(t, c.broken, v.stdout.Len() > 0)
					time.Sleep(time.Hour) // the store forgets what was under way
				})
			})
		}
	}
}
