package b2test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object of an answer. Its values are nil, bool, int, int64,
// string, object or list.
type object map[string]any

// list is a JSON array of an answer.
type list []any

// render writes v as the service does: indented by two spaces, keys in
// alphabetical order, empty objects and arrays closed at once (recorded), only
// code points below 0x20 escaped as \u (documented) beside quote and backslash.
// encoding/json escapes more than that.
func render(v any) string {
	var b strings.Builder
	renderValue(&b, v, "")
	return b.String()
}

func renderValue(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case string:
		renderString(b, v)
	case object:
		if len(v) == 0 {
			b.WriteString("{}")
			return
		}
		b.WriteString("{")
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n" + indent + "  ")
			renderString(b, key)
			b.WriteString(": ")
			renderValue(b, v[key], indent+"  ")
		}
		b.WriteString("\n" + indent + "}")
	case list:
		if len(v) == 0 {
			b.WriteString("[]")
			return
		}
		b.WriteString("[")
		for i, item := range v {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n" + indent + "  ")
			renderValue(b, item, indent+"  ")
		}
		b.WriteString("\n" + indent + "]")
	}
}

func renderString(b *strings.Builder, s string) {
	const digits = "0123456789abcdef"
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20:
			b.WriteString(`\u00`)
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
