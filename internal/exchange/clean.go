package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Redacted stands where a secret stood.
const Redacted = "[redacted]"

// Clean returns err without the secrets, and without the user, query and fragment of any [url.Error] in it:
// a presigned URL's query is a credential. What had to be cut is still matched by [errors.Is], but not reached
// by [errors.As].
func Clean(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, u := range urls(err, nil) {
		clean = strings.ReplaceAll(clean, u, CleanURL(u))
	}
	clean = redact(clean, secrets...)
	if clean == text {
		return err
	}
	return &cleanError{text: clean, err: err}
}

// redact replaces the secrets in text.
func redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, Redacted)
		}
	}
	return text
}

// CleanURL keeps of a URL what may be shown: scheme, host and path. Of a mistyped one, which has no host, net/url finds the
// user in the path, or nowhere: what stands before an @ is cut.
func CleanURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "[unreadable URL]"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	if u.Host == "" {
		u.Opaque, u.Path, u.RawPath = u.Opaque[strings.LastIndexByte(u.Opaque, '@')+1:], u.Path[strings.LastIndexByte(u.Path, '@')+1:], ""
	}
	return u.String()
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

// CheckURL parses a URL that credentials are going to be sent to. It is https, or plain http on this machine;
// plain http elsewhere only if allowed. It names no user.
func CheckURL(raw string, plainHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL with a host", CleanURL(raw))
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("URL %s carries a user", CleanURL(raw))
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, fmt.Errorf("URL %s: scheme is neither https nor http", CleanURL(raw))
	case !plainHTTP && !loopback(u.Hostname()):
		return nil, fmt.Errorf("URL %s: plain http would show the credentials to the network; use https", CleanURL(raw))
	}
	return u, nil
}

// CheckEndpoint is CheckURL for a URL that paths are put behind, so it has neither query nor fragment.
func CheckEndpoint(raw string, plainHTTP bool) (*url.URL, error) {
	u, err := CheckURL(raw, plainHTTP)
	if err == nil && (u.RawQuery != "" || u.Fragment != "") {
		return nil, fmt.Errorf("URL %s has a query or a fragment", CleanURL(raw))
	}
	return u, err
}

// loopback tells whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
