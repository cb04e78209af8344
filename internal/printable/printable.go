// Package printable makes text from outside fit for terminals, logs and errors:
// what servers, file names and other users' files say.
package printable

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns text in which every character that does not simply print is
// written as \u and four hexadecimal digits: control characters, C1 among them,
// the marks that change the direction of writing, line separators, and all else
// that is invisible. Bytes that are not UTF-8 become U+FFFD. JSON without line
// feeds stays the same JSON.
func Text(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch high, low := utf16.EncodeRune(r); {
		case !hidden(r):
			b.WriteRune(r)
		case high == unicode.ReplacementChar:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsGraphic(r) }

// Line returns a message on one line, as Text does, with line breaks and tabs as
// spaces, and cut after limit bytes.
func Line(message string, limit int) string {
	if len(message) > 2*limit { // what follows is cut anyway
		message = strings.ToValidUTF8(message[:2*limit], "")
	}
	message = Text(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, message))
	if len(message) > limit {
		message = strings.ToValidUTF8(message[:limit], "") + "…"
	}
	return message
}

// Time returns t in UTC, or the zero Time if its year has not four digits there:
// encoders refuse such a time.
func Time(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
