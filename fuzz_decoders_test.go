package sluice

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bombs are texts that become much more than their bytes.
var bombs = []string{
	`{"sluice_manifest":1,"parts":[` + strings.Repeat(`{},`, 20_000) + `{}]}`,
	`{"sluice_manifest":1,"digests":{` + strings.Repeat(`"a":"",`, 10_000) + `"b":""}}`,
	`{"x":` + strings.Repeat(`[`, 10_000),
	`{"id":"` + strings.Repeat(`x`, 64<<10) + `"}`,
	strings.Repeat(` `, 64<<10) + `{}`,
}

// What parseManifest lets pass describes a file without a gap.
func FuzzManifest(f *testing.F) {
	for _, text := range append([]string{
		`{"sluice_manifest":1,"name":"f","id":"i","size":3,"created":"2026-11-27T12:00:00Z","digests":{"sha1":"00"},` +
			`"parts":[{"offset":0,"size":2,"digests":{"sha1":"9c"}},{"offset":2,"size":1,"digests":{}}]}`,
		`{"sluice_manifest":1,"size":9223372036854775807,"parts":[{"size":9223372036854775807},{"offset":9223372036854775807,"size":1}]}`,
		`{"sluice_manifest":1,"size":-1,"parts":[{"offset":0,"size":-1}]}`,
		`{"sluice_manifest":1,"size":0,"parts":[{},{},{}]}`,
		`{"sluice_manifest":2}`,
		`{"sluice_manifest":1,"digests":{"sha1":"odd"}}`,
	}, bombs...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseManifest(strings.NewReader(text))
		if err != nil {
			require.Less(t, len(err.Error()), 2<<10)
			return
		}
		require.GreaterOrEqual(t, m.Size, int64(0))
		var file StoredFile
		m.addTo(&file)
		var end int64
		for i, r := range file.Receipts {
			require.Equal(t, i+1, r.Number)
			require.GreaterOrEqual(t, r.Size, int64(0))
			end += r.Size
		}
		require.Equal(t, m.Size, end)
		again, err := m.text()
		require.NoError(t, err, "what is read can be written")
		same, err := parseManifest(strings.NewReader(string(again)))
		require.NoError(t, err)
		require.Len(t, same.Parts, len(m.Parts))
	})
}

// Whatever a record has, what it says to be there is in the file, and a record
// that is cut to what counts says the same.
func FuzzPartialRecord(f *testing.F) {
	version := partialVersion{1, "f", "i", "t", 100}
	head, err := json.Marshal(version)
	require.NoError(f, err)
	for _, lines := range append([]string{
		"{\"offset\":0,\"size\":10}\n{\"offset\":90,\"size\":10}\n",
		"{\"offset\":5,\"size\":10}\n{\"offset\":0,\"size\":50}\n{\"offset\":60,\"si",
		"{\"offset\":-1,\"size\":10}\n", "{\"offset\":1,\"size\":9223372036854775807}\n", "{\"offset\":99,\"size\":2}\n", "{}\n", "\n\n", "null\n",
		strings.Repeat(" ", 70<<10) + "{\"offset\":0,\"size\":10}\n",
	}, bombs...) {
		f.Add(string(head)+"\n"+lines, int64(80))
	}
	f.Add("{}\n", int64(0))
	f.Fuzz(func(t *testing.T, record string, size int64) {
		size = min(max(size, 0), version.Size)
		replay := func(text string) (*partialFile, int64, bool) {
			p := new(partialFile)
			whole, ok, err := p.replay(strings.NewReader(text), version, size)
			require.NoError(t, err)
			return p, whole, ok
		}
		p, whole, ok := replay(record)
		if !ok {
			require.Empty(t, p.done)
			return
		}
		require.LessOrEqual(t, whole, int64(len(record)))
		require.Equal(t, byte('\n'), record[whole-1])
		last := int64(-1)
		for _, e := range p.done {
			require.Greater(t, e.Offset, last)
			require.Positive(t, e.Size)
			require.LessOrEqual(t, e.end(), size)
			last = e.end()
		}
		same, again, ok := replay(record[:whole])
		require.True(t, ok)
		require.Equal(t, whole, again)
		require.Equal(t, p.done, same.done)
	})
}
