package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestUnfinishedShowsThePartsAndTheirSum(t *testing.T) {
	tr, s := newB2Trial(t, serverInThePast())
	ids := tr.leave(s, "a", "ab")
	data := noise(2_400_000)
	part := func(n int) string { return "sha1:" + hexSHA1(data[(n-1)<<20:n<<20]) }
	require.Equal(t, exitDone, tr.run("unfinished", "-parts", "b2://test-bucket/a"), tr.stderr())
	lines := strings.Split(tr.stdout.String(), "\n")
	require.Len(t, lines, 2*4+1)
	for i, id := range ids {
		require.Regexp(t, fmt.Sprintf(`^%s  20\d\d-\S*Z  a`, id), lines[4*i])
		for n := 1; n <= 2; n++ {
			require.Regexp(t, fmt.Sprintf(`^ +%d +1048576  20\d\d-\S*Z  %s$`, n, part(n)), lines[4*i+n])
		}
		require.Regexp(t, `^ +2 parts, 2097152 bytes \(2 MB\)$`, lines[4*i+3])
	}

	require.Equal(t, exitDone, tr.again().run("unfinished", "-parts", "-json", "b2://test-bucket/a", ids[1]), tr.stderr())
	var o inspected
	require.NoError(t, json.Unmarshal(tr.stdout.Bytes(), &o), "one object")
	require.Equal(t, "ab", o.Name)
	require.Equal(t, ids[1], o.ID)
	require.EqualValues(t, 2<<20, o.Size)
	require.Len(t, o.Parts, 2)
	require.Equal(t, part(2), o.Parts[1].Digest)
	require.WithinRange(t, o.Parts[1].Stored, o.Started.Add(-time.Second), time.Now().Add(-7*time.Hour))

	require.Equal(t, exitFailed, tr.again().run("unfinished", "-parts", "b2://test-bucket/a", "4_none"))
	require.Contains(t, tr.stderr(), "b2://test-bucket/a has no unfinished large file 4_none")
	require.Len(t, s.Unfinished(), 2, "it changes nothing")
}

func TestAPartIsShownAsFarAsTheStoreKnowsIt(t *testing.T) {
	require.Equal(t, "crc32c:0a", digestOf(sluice.Receipt{Tag: "t", Digests: sluice.Digests{{Name: "crc32c", Sum: []byte{10}}}}))
	require.Equal(t, "etag:t", digestOf(sluice.Receipt{Tag: `"t"`}))
	require.Empty(t, digestOf(sluice.Receipt{}))
}
