package decode_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/decode"
)

// odd has what a store may say of one entry of a list.
type odd struct {
	Size decode.Number `json:"size"`
	Time decode.Time   `json:"time"`
}

func TestNumbersAndTimesOutOfRange_SpoilNoOtherEntry(t *testing.T) {
	const most = 1<<63 - 1
	for text, want := range map[string]odd{
		`{}`:                              {},
		`{"size":7,"time":1767323045006}`: {7, at("2026-01-02T03:04:05.006Z")},
		`{"size":9223372036854775807,"time":9223372036854775807}`:   {Size: most},
		`{"size":9223372036854775808,"time":9223372036854775808}`:   {Size: most},
		`{"size":-9223372036854775809,"time":-9223372036854775809}`: {Size: -most - 1},
		`{"size":-1,"time":-1}`: {Size: -1},
		`{"size":` + strings.Repeat("9", 999) + `,"time":253402300799999}`: {most, at("9999-12-31T23:59:59.999Z")},
		`{"time":253402300800000}`: {},
		`{"time":0}`:               {},
		`{"time":1e30}`:            {},
		`{"time":"yesterday"}`:     {},
		`{"time":null}`:            {},
	} {
		var got odd
		require.NoError(t, decode.JSON(strings.NewReader(text), &got, limits), text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{`{"size":1.5}`, `{"size":1e999}`, `{"size":"7"}`, `{"size":null}`, `{"size":{}}`, `{"time":[]}`} {
		require.ErrorIs(t, decode.JSON(strings.NewReader(text), new(odd), limits), decode.ErrUnusable, text)
	}
	for text, want := range map[string]decode.Number{
		"7": 7, " 7\n": 7, "": 0, "-1": -1, "9223372036854775808": most, "-9223372036854775809": -most - 1,
	} {
		var got odd
		require.NoError(t, decode.XML(strings.NewReader("<odd><Size>"+text+"</Size></odd>"), &got, limits), text)
		require.Equal(t, want, got.Size, text)
	}
	require.ErrorIs(t, decode.XML(strings.NewReader("<odd><Size>1.5</Size></odd>"), new(odd), limits), decode.ErrUnusable)
	for text, want := range map[string]decode.Time{
		"2026-01-02T03:04:05.006Z":      at("2026-01-02T03:04:05.006Z"),
		"2026-01-02T05:04:05.006+02:00": at("2026-01-02T03:04:05.006Z"),
		"0000-12-31T23:59:59Z":          {},
		"0001-01-01T00:00:00+23:59":     {},
		"9999-12-31T23:59:59-00:01":     {},
		"10000-01-01T00:00:00Z":         {},
		"-001-01-01T00:00:00Z":          {},
		"yesterday":                     {},
		"":                              {},
	} {
		var got odd
		require.NoError(t, decode.XML(strings.NewReader("<odd><Time>"+text+"</Time></odd>"), &got, limits), text)
		require.Equal(t, want, got.Time, text)
	}
}

func at(text string) decode.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return decode.Time{Time: t.UTC()}
}
