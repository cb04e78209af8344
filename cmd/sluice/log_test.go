package main

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
)

// logged are the objects on standard error, one a line.
func (tr *trial) logged() (objects []map[string]any) {
	tr.t.Helper()
	for line := range strings.Lines(tr.stderr()) {
		var o map[string]any
		require.NoError(tr.t, json.Unmarshal([]byte(line), &o), "%q", line)
		if o["msg"] == nil { // the report of get
			require.Contains(tr.t, o, "exit")
		} else {
			require.NoError(tr.t, new(slog.Level).UnmarshalText([]byte(o["level"].(string))))
			_, err := time.Parse(time.RFC3339Nano, o["time"].(string))
			require.NoError(tr.t, err)
			require.NotContains(tr.t, o["msg"], "sluice: ")
		}
		objects = append(objects, o)
	}
	return objects
}

func TestLines_BeginWithTimeAndDestOffATerminal(t *testing.T) {
	const stamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) `
	for dest, shown := range map[string]string{"mem://x": "mem://x ", "mem://a b": `'mem://a b' `, "mem://\x1b[2J": `'mem://\\u001b\[2J' `} {
		tr := newTrial(t)
		tr.stdin(noise(3_000_000))
		require.Equal(t, exitDone, tr.run("-v", "--part-size", "1MiB", dest), tr.stderr())
		lines := strings.Split(strings.TrimSuffix(tr.stderr(), "\n"), "\n")
		require.Greater(t, len(lines), 3)
		for _, line := range lines {
			require.Regexp(t, "^"+stamp+shown+"sluice: ", line)
		}
	}
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("--nosuch"))
	require.Regexp(t, "^sluice: unknown flag", tr.stderr(), "there is no DEST")
}

func TestLogFormat_MakesEveryLineAnObject(t *testing.T) {
	collect := func(tr *trial, exit int, args ...string) []map[string]any {
		t.Helper()
		require.Equal(t, exit, tr.run(args...), tr.stderr())
		objects := tr.logged()
		require.NotEmpty(t, objects, "%v", args)
		return objects
	}
	level := func(o map[string]any) string { return o["level"].(string) }

	tr := readableTrial(t, noise(3_000_000))
	tr.stdin(noise(3_000_000))
	done := collect(tr.again(), exitDone, "--log-format", "json", "-v", "--part-size", "1MiB", "mem://y")
	require.Equal(t, "INFO", level(done[0]))
	require.Contains(t, done[0]["msg"], "mem://y takes up to")
	require.True(t, slices.ContainsFunc(done, func(o map[string]any) bool { return level(o) == "DEBUG" }))
	for _, o := range done {
		require.Equal(t, "mem://y", o["destination"])
	}

	read := collect(tr.again(), exitDone, "get", "--log-format=json", "--json", "mem://x")
	require.Len(t, read, 2)
	require.EqualValues(t, 3_000_000, read[1]["received_bytes"])
	collect(tr.again(), exitDone, "verify", "--log-format=json", "mem://x")
	collect(tr.again(), exitDone, "rm", "--yes", "--log-format=json", "mem://x")

	missing := collect(tr.again(), exitFailed, "get", "--log-format=json", "mem://x")
	require.Equal(t, "ERROR", level(missing[0]))
	usage := collect(tr.again(), exitUsage, "get", "--log-format=json", "--sha256", "x", "mem://x")
	require.Equal(t, "ERROR", level(usage[0]))
	require.Contains(t, usage[0]["msg"], "\nTry sluice get -h.")
	unread := collect(tr.again(), exitUsage, "get", "--nosuch", "--log-format", "json", "mem://x")
	require.Contains(t, unread[0]["msg"], "unknown flag: --nosuch")
	require.NotContains(t, unread[0], "destination")

	failing := newTrial(t, faults.Fail(nil, faults.OnPart(2)), faults.Fail(nil, faults.OnKind(faults.Cancel)))
	failing.sys.schemes[0].commands = []string{"cancel"}
	failing.stdin(noise(3_000_000))
	failed := collect(failing, exitFailed, "--log-format=json", "--memory", "8MiB", "--part-size", "1MiB", "mem://x")
	require.Equal(t, []string{"INFO", "ERROR", "INFO"}, []string{level(failed[0]), level(failed[1]), level(failed[2])})
	require.Contains(t, failed[2]["msg"], "to resume it, with the same stream")

	tr = newTrial(t)
	require.Equal(t, exitUsage, tr.run("--log-format", "xml", "mem://x"))
	require.Contains(t, tr.stderr(), "must be text or json")
}

func TestLogFormat_JSONHasTheFiguresOfProgress(t *testing.T) {
	tr := readableTrial(t, noise(3_000_000))
	_, w := tr.openStdin()
	ended := make(chan int, 1)
	go func() { ended <- tr.run("--log-format=json", "mem://y") }()
	_, err := w.Write(noise(1000))
	require.NoError(t, err)
	for !strings.Contains(tr.stderr(), " stored, ") { // there is no progress before the store is open
		tr.ticks <- time.Now()
	}
	w.Close()
	require.Equal(t, exitDone, <-ended)
	objects := tr.logged()
	progress := objects[1]
	for _, field := range []string{"source_bytes", "stored_bytes", "sent_bytes", "parts_in_flight", "retries", "restarts", "seconds", "seconds_left"} {
		require.IsType(t, 0.0, progress[field], field)
	}
	require.Contains(t, progress["msg"], " stored, ")
	require.Equal(t, time.Duration(30)*time.Second, tr.ticking)

	a := &arrival{size: 10, began: time.Now()}
	_, _ = a.Write(make([]byte, 4))
	_, figures := new(arrivals).line(a)
	require.Equal(t, []string{"received_bytes", "size", "seconds", "seconds_left"}, keys(figures))
}

func keys(attrs []slog.Attr) (keys []string) {
	for _, a := range attrs {
		keys = append(keys, a.Key)
	}
	return keys
}

// Retries that a store logs, and silence.
func TestLogFormat_JSONHasWhatTheStoreReports(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		v.file(noise(3_000_000))
		require.NoError(t, v.server.Inject(
			b2test.Fault{Call: "b2_upload_part", Part: 1, Status: 503},
			b2test.Fault{Call: "b2_upload_part", Part: 2, Kind: b2test.Stall}))
		require.Equal(t, exitDone, v.run("--log-format=json", "-v", "--part-size", "1MiB", "b2://test-bucket/x"), v.stderr())
		var silent, retried bool
		for _, o := range v.logged() {
			require.Equal(t, "b2://test-bucket/x", o["destination"])
			msg := o["msg"].(string)
			silent = silent || strings.HasPrefix(msg, "nothing has moved for") && o["level"] == "WARN"
			retried = retried || o["wait"] != nil
		}
		require.True(t, silent && retried, v.stderr())
	})
}
