package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/printable"
)

func TestText_WritesOutWhatDoesNotPrint(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"plain, ünïcode, 日本, 🎉, a\u00a0b":  "plain, ünïcode, 日本, 🎉, a\u00a0b",
		"\x1b[31mred\x00\a\b":              `\u001b[31mred\u0000\u0007\u0008`,
		"a\r\nb\tc\x7f":                    `a\u000d\u000ab\u0009c\u007f`,
		"\u0090\u009b31m\u0085":            `\u0090\u009b31m\u0085`,
		"\u202egnp.exe\u2066\u061c\u200f":  `\u202egnp.exe\u2066\u061c\u200f`,
		"a\u2028b\u2029c\ufeff":            `a\u2028b\u2029c\ufeff`,
		"\xff\x9b31m":                      "\ufffd31m",
		"\U000e0041 tag, \U000f0000 usage": `\udb40\udc41 tag, \udb80\udc00 usage`,
	} {
		require.Equal(t, want, printable.Text(text))
	}
}

func TestText_KeepsWhatJSONSays(t *testing.T) {
	said := map[string]string{"name\u202e": "a\u0090\x7f\U000e0041\u2028\x1b\"\\<&>"}
	line, err := json.Marshal(said)
	require.NoError(t, err)
	text := printable.Text(string(line))
	requirePrints(t, text)
	var heard map[string]string
	require.NoError(t, json.Unmarshal([]byte(text), &heard))
	require.Equal(t, said, heard)
}

func TestLine_IsOneLineOfBoundedLength(t *testing.T) {
	for text, want := range map[string]string{
		"two\nlines\r\t\x1b[31m":                     `two lines  \u001b[31m`,
		strings.Repeat("ä", 512):                     strings.Repeat("ä", 512),
		strings.Repeat("ä", 513):                     strings.Repeat("ä", 512) + "…",
		"x" + strings.Repeat("ä", 512):               "x" + strings.Repeat("ä", 511) + "…",
		strings.Repeat("x", 4<<20):                   strings.Repeat("x", 1024) + "…",
		strings.Repeat("\x1b", 4<<20):                strings.Repeat(`\u001b`, 170) + `\u00…`,
		strings.Repeat("x", 1024) + "\xff":           strings.Repeat("x", 1024) + "…",
		strings.Repeat("x", 1020) + "\u202e further": strings.Repeat("x", 1020) + `\u20…`,
	} {
		require.Equal(t, want, printable.Line(text, 1024))
	}
}

func TestTime_HasAYearOfFourDigits(t *testing.T) {
	for year, want := range map[int]bool{-1: false, 0: false, 1: true, 1969: true, 9999: true, 10_000: false, 292_278_994: false} {
		at := printable.Time(time.Date(year, 6, 7, 0, 0, 0, 0, time.FixedZone("", 3600)))
		require.Equal(t, want, !at.IsZero(), year)
		_, err := json.Marshal(at)
		require.NoError(t, err)
		_, err = at.MarshalText()
		require.NoError(t, err)
		require.Equal(t, time.UTC, at.Location())
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[2J\u009b\u202e\u2028\xff", "\xed\xa0\x80", "\U000e0041", "\ufffd"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := printable.Text(text)
		requirePrints(t, whole)
		require.Equal(t, whole, printable.Text(whole))
		line := printable.Line(text, 1024)
		requirePrints(t, line)
		require.LessOrEqual(t, len(line), 1<<10+len("…"))
	})
}

func requirePrints(t *testing.T, text string) {
	require.True(t, utf8.ValidString(text), "%q", text)
	require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }), "%q", text)
}
