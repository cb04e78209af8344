package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
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
	require.Equal(t, exitDone, tr.run("unfinished", "--parts", "b2://test-bucket/a"), tr.stderr())
	lines := strings.Split(tr.stdout.String(), "\n")
	require.Len(t, lines, 2*4+1)
	for i, id := range ids {
		require.Regexp(t, fmt.Sprintf(`^%s  20\d\d-\S*Z  a`, id), lines[4*i])
		for n := 1; n <= 2; n++ {
			require.Regexp(t, fmt.Sprintf(`^ +%d +1048576  20\d\d-\S*Z  %s$`, n, part(n)), lines[4*i+n])
		}
		require.Regexp(t, `^ +2 parts, 2097152 bytes \(2 MB\)$`, lines[4*i+3])
	}

	require.Equal(t, exitDone, tr.again().run("unfinished", "--parts", "--json", "b2://test-bucket/a", ids[1]), tr.stderr())
	var o inspected
	require.NoError(t, json.Unmarshal(tr.stdout.Bytes(), &o), "one object")
	require.Equal(t, "ab", o.Name)
	require.Equal(t, ids[1], o.ID)
	require.EqualValues(t, 2<<20, o.Size)
	require.Len(t, o.Parts, 2)
	require.Equal(t, part(2), o.Parts[1].Digest)
	require.WithinRange(t, o.Parts[1].Stored, o.Started.Add(-time.Second), time.Now().Add(-7*time.Hour))

	require.Equal(t, exitFailed, tr.again().run("unfinished", "--parts", "b2://test-bucket/a", "4_none"))
	require.Contains(t, tr.stderr(), "b2://test-bucket/a has no unfinished large file 4_none")
	require.Len(t, s.Unfinished(), 2, "it changes nothing")
}

func TestAPartIsShownAsFarAsTheStoreKnowsIt(t *testing.T) {
	require.Equal(t, "crc32c:0a", digestOf(sluice.Receipt{ETag: "t", Digests: sluice.Digests{{Name: "crc32c", Sum: []byte{10}}}}))
	require.Equal(t, "etag:t", digestOf(sluice.Receipt{ETag: `"t"`}))
	require.Empty(t, digestOf(sluice.Receipt{}))
}

// A local clock that is days ahead makes no upload old.
func TestCancel_GoesByTheStoresClock(t *testing.T) {
	r := &selection{prefix: true, olderSet: true, older: time.Hour}
	f := sluice.UnfinishedFile{Started: time.Now().Add(-48 * time.Hour), Age: time.Second}
	require.False(t, r.selects(f, ""))
	f.Age = time.Hour
	require.True(t, r.selects(f, ""))
}

// boundless is a store that says anything of sizes and times.
type boundless struct {
	sluice.Backend
	times []time.Time
	size  int64
}

func (b *boundless) Unfinished(context.Context, string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		for i, at := range b.times {
			if !yield(sluice.UnfinishedFile{ID: fmt.Sprint(i), Spec: sluice.FileSpec{Name: "x"}, Started: at}, nil) {
				return
			}
		}
	}
}

func (b *boundless) parts(_ context.Context, f sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	if f.ID == "1" {
		return nil, errors.New("the parts cannot be listed")
	}
	p := sluice.StoredPart{Receipt: sluice.Receipt{Number: 1, Size: b.size}, Stored: b.times[0]}
	return []sluice.StoredPart{p, p}, nil
}

func TestUnfinished_ListsAllWhateverTheirSizesAndTimes(t *testing.T) {
	odd := []time.Time{
		time.UnixMilli(math.MaxInt64), time.UnixMilli(math.MinInt64), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 0, 0, time.FixedZone("", -3600)),
		{},
		time.Unix(1e9, 0),
	}
	for command, failed := range map[string]int{"": 0, "--json": 0, "--parts": 1, "--parts --json": 1} {
		tr := newTrial(t)
		b := &boundless{tr.store, odd, math.MaxInt64}
		s := &tr.sys.schemes[0]
		s.commands = []string{"unfinished"}
		s.open = func(context.Context, string, opening) (*destination, error) {
			return &destination{backend: b, name: "x", parts: b.parts}, nil
		}
		code := tr.run(append(append([]string{"unfinished"}, strings.Fields(command)...), "mem://x")...)
		require.Equal(t, failed != 0, code == exitFailed, tr.stderr())
		if failed != 0 {
			require.Contains(t, tr.stderr(), "the parts cannot be listed")
		}
		out := tr.stdout.String()
		require.Contains(t, out, "2001-09-09T01:46:40Z")
		require.NotRegexp(t, `-\d+ bytes|size":-`, out)
		if strings.Contains(command, "json") {
			require.Len(t, strings.Split(out, "\n"), len(odd)-failed+1)
		} else {
			require.Equal(t, len(odd)-1-failed, strings.Count(out, "  -  x\n"), out)
		}
		if strings.Contains(command, "--parts") {
			require.Contains(t, out, "9223372036854775807")
		}
	}
}
