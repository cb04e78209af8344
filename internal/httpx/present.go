package httpx

import "github.com/c1508ce4/sluice/internal/printable"

// How much of a text from outside is shown, in bytes: of what a server says, and
// of an error that may be about it.
const (
	maxPresented = 1 << 10
	maxError     = 4 << 10
)

// Present makes a server's text fit for an error: without the secrets, on one
// line of printable characters, and cut where it is long.
func Present(text string, secrets ...string) string {
	return printable.Line(redact(text, secrets...), maxPresented)
}
