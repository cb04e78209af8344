//go:build unix

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesAreGotListedAndCancelledToo(t *testing.T) {
	dir := t.TempDir()
	dest := "file://" + dir + "/x"
	crash := func() {
		c := startChild(t, "sluice", nil, args("-v", dest)...)
		go func() { _, _ = c.stdin.Write(noise(2_400_000)) }() // and no end
		await(t, c.stderr, "part 1 is stored")
		require.NoError(t, c.Process.Kill())
		c.code()
	}
	crash()
	tr := realTrial(t)
	require.Equal(t, exitDone, tr.run("unfinished", "file://"+dir+"/"), tr.stderr())
	ids := tr.listed()
	require.Len(t, ids, 1)
	require.Equal(t, exitDone, tr.again().run("unfinished", "--parts", dest), tr.stderr())
	require.Regexp(t, `(?m)^`+ids[0]+`.*\n +1 +1048576  20\S*Z  crc32c:[0-9a-f]{8}$`, tr.stdout.String())
	tr.again().stdin(noise(2_400_000))
	require.Equal(t, exitDone, tr.run(args("--resume", dest)...), tr.stderr())
	require.Contains(t, tr.stderr(), "resuming large file "+ids[0])
	require.GreaterOrEqual(t, tr.object()["reused_bytes"], float64(1<<20))
	require.Equal(t, exitDone, tr.again().run("get", dest, "--sha256", hexSHA256(noise(2_400_000))), tr.stderr())
	require.True(t, bytes.Equal(noise(2_400_000), tr.stdout.Bytes()))

	crash()
	tr = realTrial(t)
	require.Equal(t, exitDone, tr.run("cancel", dest), tr.stderr())
	require.Len(t, tr.listed(), 1)
	require.Equal(t, []string{"x"}, entries(t, dir))
	require.Equal(t, exitFailed, tr.run("get", "file://"+dir+"/nothing"))
	require.Equal(t, exitUsage, tr.run("get", "file://"+dir+"/"))
}
