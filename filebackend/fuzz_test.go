package filebackend

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// Whatever a record says, its parts are bytes of a file, none twice, and its
// times and sizes can be shown.
func FuzzRecord(f *testing.F) {
	head := `{"sluice":1,"name":"x","size":-1,"started":"2026-01-02T03:04:05Z"}` + "\n"
	part := `{"part":1,"size":4,"crc32c":"00000000","stored":"2026-01-02T03:04:05Z"}` + "\n"
	for _, seed := range []string{
		"", "\n", head, head + part, head + part + part, head + part + `{"dropped":[1]}` + "\n" + part, head + `{"resumed":"2026-01-02T03:04:05Z"}` + "\n", head + part[:20],
		head + `{"part":1,"offset":9223372036854775807,"size":9223372036854775807,"crc32c":"0"}` + "\n", head + `{"part":1,"offset":-1,"size":1,"crc32c":"0"}` + "\n",
		head + `{"part":9223372036854775808,"size":1}` + "\n", head + `{"dropped":[` + strings.Repeat("1,", 10_000) + `1]}` + "\n", head + strings.Repeat("[", 20_000) + "\n",
		head + strings.Repeat("{}\n", 10_000), `{"sluice":1,"name":"../x","started":"0000-01-01T00:00:00+23:59"}` + "\n",
		`{"sluice":1,"name":"x","size":-9223372036854775808,"started":"9999-12-31T23:59:59-23:59","info":{` + strings.Repeat(`"a":"",`, 10_000) + `"b":""}}` + "\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record string) {
		h, rest, ok, err := parseHeader([]byte(record))
		if err != nil || !ok {
			return
		}
		require.NotContains(t, h.Name, "/")
		require.GreaterOrEqual(t, h.Size, int64(sluice.UnknownSize))
		_, err = json.Marshal(h)
		require.NoError(t, err)
		l, size, _ := replay(rest)
		require.LessOrEqual(t, size, int64(len(rest)))
		end := int64(0)
		for _, e := range l.stored {
			require.Positive(t, e.number)
			require.Positive(t, e.size)
			require.GreaterOrEqual(t, e.offset, end)
			end = e.end()
		}
		require.Len(t, l.offsets, len(l.stored))
		_, err = json.Marshal(l.parts())
		require.NoError(t, err)
		l.cut(1000)
		for _, e := range l.stored {
			require.LessOrEqual(t, e.end(), int64(1000))
		}
	})
}
