package httpx

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPresentMakesTextFitForAnError(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcode":                               "plain, ünïcode",
		"two\nlines\r\t\x1b[31m\u009b\u202e\u2028":     `two lines  \u001b[31m\u009b\u202e\u2028`,
		"\xffbroken\x7f":                               "\ufffdbroken\\u007f",
		"a secret b":                                   "a [redacted] b",
		strings.Repeat("ä", 512):                       strings.Repeat("ä", 512),
		strings.Repeat("ä", 513):                       strings.Repeat("ä", 512) + "…",
		"x" + strings.Repeat("ä", 512):                 "x" + strings.Repeat("ä", 511) + "…",
		strings.Repeat("x", maxPresented-3) + "secret": strings.Repeat("x", maxPresented-3) + "[re…",
	} {
		require.Equal(t, want, Present(text, "secret"))
	}
}
