package b2backend

import (
	"net/http"
	"net/url"
	"strings"
)

// headerValue reports whether value may be that of the reserved info key. The
// service checks the grammar and takes no parameter continuations, and extended
// values in UTF-8 without a language only (documented). A language tag may have
// digits behind its first part, which RFC 2616 does not know and its successors
// do: those are left to the service.
func headerValue(key, value string) bool {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false
	}
	h := &header{value}
	switch key {
	case "b2-content-disposition":
		return h.disposition()
	case "b2-content-language":
		return h.list(h.language)
	case "b2-content-encoding":
		return h.list(h.token)
	case "b2-cache-control":
		return h.list(h.directive)
	default:
		_, err := http.ParseTime(value)
		return err == nil
	}
}

// header is what is left to parse of a value. Most methods report whether they
// found what they are named for, and move behind it.
type header struct{ rest string }

// end reports whether nothing is left.
func (h *header) end() bool { return h.rest == "" }

// word returns the characters of a token that come next.
func (h *header) word() string {
	n := strings.IndexAny(h.rest, `()<>@,;:\"/[]?={} `)
	if n < 0 {
		n = len(h.rest)
	}
	found := h.rest[:n]
	h.rest = h.rest[n:]
	return found
}

func (h *header) token() bool { return h.word() != "" }

// mark is a character with any blanks around it.
func (h *header) mark(c string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(h.rest, " "), c)
	if ok {
		h.rest = strings.TrimLeft(rest, " ")
	}
	return ok
}

// value is a token or a quoted string.
func (h *header) value() bool {
	rest, ok := strings.CutPrefix(h.rest, `"`)
	if !ok {
		return h.token()
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			h.rest = rest[i+1:]
			return true
		case '\\':
			i++
		}
	}
	return false
}

// disposition is a type and parameters.
func (h *header) disposition() bool {
	if !h.token() {
		return false
	}
	for h.mark(";") {
		name, extended := strings.CutSuffix(h.word(), "*")
		if name == "" || strings.Contains(name, "*") || !h.mark("=") {
			return false
		}
		if extended && !h.extended() || !extended && !h.value() {
			return false
		}
	}
	return h.end()
}

// extended is an extended value of RFC 5987.
func (h *header) extended() bool {
	parts := strings.Split(h.word(), "'")
	if len(parts) != 3 || !strings.EqualFold(parts[0], "UTF-8") || parts[1] != "" {
		return false
	}
	_, err := url.PathUnescape(parts[2])
	return err == nil && !strings.Contains(parts[2], "*")
}

// language is a language tag.
func (h *header) language() bool {
	for i, tag := range strings.Split(h.word(), "-") {
		odd := func(r rune) bool { return !isAlphanumeric(r) || i == 0 && r <= '9' }
		if len(tag) < 1 || len(tag) > 8 || strings.ContainsFunc(tag, odd) {
			return false
		}
	}
	return true
}

// directive is a token with a value or without.
func (h *header) directive() bool {
	if !h.token() {
		return false
	}
	if rest, ok := strings.CutPrefix(h.rest, "="); ok {
		h.rest = rest
		return h.value()
	}
	return true
}

// list is one or more elements between commas.
func (h *header) list(element func() bool) bool {
	for element() {
		if !h.mark(",") {
			return h.end()
		}
	}
	return false
}
