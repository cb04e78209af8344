package exchange

import "strings"

// maxPresented is how much of a server's text is shown, in bytes.
const maxPresented = 1 << 10

// Present makes a server's text fit for an error: without the secrets, on one line, without control characters, valid
// UTF-8, and cut where it is long.
func Present(text string, secrets ...string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(redact(text, secrets...), "?"))
	if len(text) > maxPresented {
		text = strings.ToValidUTF8(text[:maxPresented], "") + "…"
	}
	return text
}
