package b2test

import (
	"net/http"
	"regexp"
)

// The grammar of the fileInfo values that downloads answer as plain headers: RFC
// 6266 for the disposition, RFC 2616 for the others. Parameter continuations are
// refused, and so are extended values other than UTF-8 without a language
// (documented), and parameters and elements that are empty.
const (
	tokenChars = "!#$%&'+.^_`|~0-9A-Za-z-" // but for the asterisk
	token2616  = "[*" + tokenChars + "]+"
	quoted     = `"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"`
	extended   = "(?i:UTF-8)''(?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*"
	blanks     = "[ \t]*"
	equals     = blanks + "=" + blanks
	parameter  = "(?:[" + tokenChars + "]+" + equals + "(?:" + token2616 + "|" + quoted + ")|[" + tokenChars + `]+\*` + equals + extended + ")"
	language   = "[A-Za-z]{1,8}(?:-[A-Za-z]{1,8})*"
	directive  = token2616 + "(?:=(?:" + token2616 + "|" + quoted + "))?"
)

var headerPatterns = map[string]*regexp.Regexp{
	"b2-content-disposition": regexp.MustCompile("^" + token2616 + "(?:" + blanks + ";" + blanks + parameter + ")*$"),
	"b2-content-language":    listPattern(language),
	"b2-content-encoding":    listPattern(token2616),
	"b2-cache-control":       listPattern(directive),
}

// listPattern matches one or more elements between commas.
func listPattern(element string) *regexp.Regexp {
	return regexp.MustCompile("^" + element + "(?:" + blanks + "," + blanks + element + ")*$")
}

// headerInfo reports whether value may be that of a reserved key.
func headerInfo(key, value string) bool {
	if !headerValue(value) {
		return false
	}
	if key == "b2-expires" {
		_, err := http.ParseTime(value) // any of the three forms of RFC 2616
		return err == nil
	}
	return headerPatterns[key].MatchString(value)
}
