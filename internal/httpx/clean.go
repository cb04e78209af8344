package httpx

import (
	"errors"
	"net/url"
	"strings"

	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/secret"
)

// Clean returns err without the secrets, and without the user, query and
// fragment of any [url.Error] in it: a presigned URL's query is a credential.
// Names in certificates, status texts of proxies and the like are in errors
// too, so it is printable and bounded as well. What had to be cut is still
// matched by [errors.Is], but not reached by [errors.As].
func Clean(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, u := range urls(err, nil) {
		clean = strings.ReplaceAll(clean, u, CleanURL(u))
	}
	clean = printable.Line(redact(clean, secrets...), maxError)
	if clean == text {
		return err
	}
	return &cleanError{text: clean, err: err}
}

func redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, secret.Redacted)
		}
	}
	return text
}

// ShortestSecret keeps values such as a part number from being cut out of messages.
const ShortestSecret = 8

// SecretsOf are what a URL must not show: its password, its query, and each value
// in that, as it stands there and decoded.
func SecretsOf(u *url.URL) []string {
	secrets := []string{u.RawQuery}
	if password, _ := u.User.Password(); password != "" {
		secrets = append(secrets, password)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		if len(value) < ShortestSecret {
			continue
		}
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}

// CleanURL keeps of a URL what may be shown: scheme, host and path. Of a
// mistyped one, which has no host, net/url finds the user in the path, or
// nowhere: what stands before an @ is cut.
func CleanURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "[unreadable URL]"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	if u.Host == "" {
		u.Opaque, u.Path, u.RawPath = u.Opaque[strings.LastIndexByte(u.Opaque, '@')+1:], u.Path[strings.LastIndexByte(u.Path, '@')+1:], ""
	}
	return printable.Line(u.String(), maxPresented)
}

// urls collects the URL of every url.Error in the tree of err.
func urls(err error, found []string) []string {
	switch e := err.(type) {
	case *url.Error:
		return urls(e.Err, append(found, e.URL))
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			return urls(next, found)
		}
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			found = urls(next, found)
		}
	}
	return found
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }

func (e *cleanError) Is(target error) bool { return errors.Is(e.err, target) }

// find finds an error of a type in the tree of err, also where Clean had to cut.
func find[E error](err error) (E, bool) {
	for {
		cut, ok := errors.AsType[*cleanError](err)
		if !ok {
			return errors.AsType[E](err)
		}
		err = cut.err
	}
}

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

// Escape percent-encodes all bytes but ASCII letters, digits and those kept.
// Package net/url has rules of its own about what may stay, which are those of
// no store.
func Escape(text, kept string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(kept, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}
