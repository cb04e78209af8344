package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
)

func TestTheObjectOfAnUpload(t *testing.T) {
	tr := newTrial(t)
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("-sha1", "mem://x")...))
	o := tr.object()
	require.Equal(t, []string{
		"destination", "exit", "hedges", "id", "memory_limit", "name", "parts", "reach", "resent_bytes", "retries", "reused_bytes", "seconds",
		"sha1", "sha256", "size", "source_bytes", "stored_bytes", "wait_memory_seconds", "wait_network_seconds",
		"wait_source_seconds",
	}, slices.Sorted(maps.Keys(o)))
	require.Equal(t, "mem://x", o["destination"])
	require.Equal(t, "mem-1", o["id"])
	require.EqualValues(t, 0, o["exit"])
	require.EqualValues(t, 3, o["parts"])
	require.EqualValues(t, 3_000_000, o["stored_bytes"])
	require.EqualValues(t, 8<<20, o["memory_limit"])
	require.Positive(t, o["seconds"])
	require.Positive(t, o["reach"])
}

func TestTheObjectOfAFailureHasAnErrorAndNoFile(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(2)))
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitFailed, tr.run(args("-sha256", "mem://x")...))
	o := tr.object()
	require.Contains(t, o["error"], "injected failure")
	require.EqualValues(t, exitFailed, o["exit"])
	require.Equal(t, "x", o["name"])
	require.Equal(t, "", o["id"])
	require.EqualValues(t, 0, o["size"])
	require.EqualValues(t, 0, o["parts"])
	for _, key := range []string{"sha256", "sha1", "large_file"} {
		require.NotContains(t, o, key)
	}
}

func TestErrorsSpeakOfFlags(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("-size", "2TB", "mem://x"))
	require.Contains(t, tr.stderr(), "-size 2 TB")
	require.Contains(t, tr.stderr(), "set -memory to at least 424 MiB for 2 TB, or -buffer-dir ")
	require.NotContains(t, tr.stderr(), "MemoryLimit")
}

func TestAFailureThatLeavesALargeFileSaysWhatCanBeDone(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Part: 2, Status: 400}))
	s.ExpectUnfinished("it's")
	tr.stdin(noise(2_400_000))
	require.Equal(t, exitFailed, tr.run("-json", "-keep-on-error", "-part-size", "1MiB", "b2://test-bucket/it's"))
	id := tr.object()["large_file"].(string)
	require.Contains(t, tr.stderr(), `pipe: to go on with it, given the same stream and flags: pipe -resume-id `+id+` 'b2://test-bucket/it'\''s'; `+
		`to remove it: pipe cancel 'b2://test-bucket/it'\''s' `+id+"\n")
	j := newJob(&config{dest: "b2://b/x"}, tr.sys, newConsole(tr.sys.stderr))
	require.Equal(t, "to see what became of it: pipe get b2://b/x | wc -c; pipe unfinished b2://b/x", j.next(result{code: exitUnknown, large: id}))
	require.Empty(t, j.next(result{code: exitFailed}), "nothing is left")
}
