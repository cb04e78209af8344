package b2backend

import (
	"net/http"
	"regexp"
)

// headerGrammar is what the reserved info keys may have as values, but for
// b2-expires, which is a time. The service takes no parameter continuations, and
// extended values in UTF-8 without a language only (documented). A language tag
// may have digits after its first part, which RFC 2616 does not know and its
// successors do: those are left to the service.
var headerGrammar = func() map[string]*regexp.Regexp {
	const (
		token = `[^()<>@,;:\\"/\[\]?={} ]+`
		value = `(?:` + token + `|"(?:[^"\\]|\\.)*")`
		name  = `[^()<>@,;:\\"/\[\]?={} *]+`
		// an extended value of RFC 5987
		extended  = `(?i:UTF-8)''(?:[^()<>@,;:\\"/\[\]?={} *'%]|%[0-9A-Fa-f]{2})*`
		parameter = name + `(?: *= *` + value + `|\* *= *` + extended + `)`
		language  = `[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*`
	)
	list := func(element string) *regexp.Regexp {
		return regexp.MustCompile(`^` + element + `(?: *, *` + element + `)*$`)
	}
	return map[string]*regexp.Regexp{
		"b2-content-disposition": regexp.MustCompile(`^` + token + `(?: *; *` + parameter + `)*$`),
		"b2-content-language":    list(language),
		"b2-content-encoding":    list(token),
		"b2-cache-control":       list(token + `(?:=` + value + `)?`),
	}
}()

var printable = regexp.MustCompile(`^[ -~]*$`)

func headerValue(key, value string) bool {
	if grammar, ok := headerGrammar[key]; ok {
		return printable.MatchString(value) && grammar.MatchString(value)
	}
	_, err := http.ParseTime(value)
	return err == nil
}
