// Package hostile is services that mean harm, for the tests of backends that
// speak HTTP: each call of a backend in turn meets answers that are endless,
// cut, garbled, send the client elsewhere, or throw back every secret that they
// were told.
package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Subject is a backend under test.
type Subject struct {
	// Calls are the names of all calls whose answers are read, as CallOf tells them apart.
	Calls  []string
	CallOf func(*http.Request) string
	// Hosts are those that the calls go to.
	Hosts []string
	// Secrets are what must not be shown, in each of the forms in which they travel.
	Secrets []string
	// Patterns are what secrets look like that are new each time.
	Patterns []*regexp.Regexp
	// Known is a secret that the service knows, though it is not sent.
	Known string
	// Honest answers as the service does, such that Every comes to make the
	// call of that name. The request is read.
	Honest func(call string, req *http.Request) (*http.Response, error)
	// Every connects and makes every call there is, in few attempts. It returns
	// the errors, and whatever else a program could print.
	Every func(t *testing.T, rt http.RoundTripper, log *slog.Logger) []any
	// Slow tells whether the store assembles or copies a file during a call; nil if it never does.
	Slow func(call string) bool
	// Deaf tells whether a call does well to take an answer for a success,
	// because it looks elsewhere what became of it.
	Deaf func(call string, a Answer) bool
}

// maxRead is the most that is read of one answer, in bytes: the longest that
// any service gives, and as much to drain.
const maxRead = 33 << 20

// Test has every call meet every answer. No request goes to another host, no
// more is read than an answer may have, an answer that is none is an error,
// errors can be shown, and no secret is in any error, value or log.
func (s *Subject) Test(t *testing.T) {
	for _, call := range s.Calls {
		t.Run(call, func(t *testing.T) {
			for _, a := range answers() {
				t.Run(a.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { s.meet(t, call, a) })
				})
			}
		})
	}
}

// meet has a call meet an answer.
func (s *Subject) meet(t *testing.T, call string, a Answer) {
	service := &service{subject: s, call: call, answer: a}
	var text, object bytes.Buffer
	level := &slog.HandlerOptions{Level: slog.LevelDebug}
	log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&text, level), slog.NewJSONHandler(&object, level)))
	failed := false
	for _, v := range s.Every(t, service, log) {
		if _, ok := v.(error); ok || !a.Passes {
			log.Info("value", "value", v)
		}
		if err, ok := v.(error); ok {
			failed = true
			s.requireShown(t, err)
		} else if !a.Passes { // an ID is what the service says it is
			s.requireClean(t, verbs(v))
		}
	}
	require.NotZero(t, service.met, "the call was not made")
	if !a.Passes && (s.Deaf == nil || !s.Deaf(call, a)) {
		require.True(t, failed, "nothing failed")
	}
	require.Empty(t, service.strangers, "asked another host")
	s.requireGivenUp(t, service)
	for _, body := range service.endless {
		require.LessOrEqual(t, body.read, int64(maxRead))
	}
	for _, p := range s.Patterns {
		require.NotRegexp(t, p, text.String())
	}
	s.requireClean(t, text.String())
	s.requireClean(t, object.String())
}

// requireClean sees no secret.
func (s *Subject) requireClean(t *testing.T, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if before, _, found := strings.Cut(text, secret); found {
			t.Fatalf("%.10s… comes after %q", secret, before[max(0, len(before)-100):])
		}
	}
}

// requireShown sees that an error, and all that it wraps, can be shown.
func (s *Subject) requireShown(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	require.NotEmpty(t, text)
	require.Less(t, len(text), 20<<10)
	require.True(t, utf8.ValidString(text), "%q", text)
	require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }), "%q", text)
	s.requireClean(t, verbs(err))
	for _, p := range s.Patterns {
		require.NotRegexp(t, p, text)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			s.requireShown(t, next)
		}
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			s.requireShown(t, next)
		}
	}
}

// verbs is a value as fmt prints it, by itself and in a field that is not exported.
// What encoders make of it is seen once, by the tests of package secret.
func verbs(v any) string {
	var text strings.Builder
	printf(&text, v)
	printf(&text, struct{ v any }{v})
	return text.String()
}

// service is one of which one call is hostile.
type service struct {
	subject *Subject
	call    string
	answer  Answer

	mu        sync.Mutex // parts are uploaded concurrently
	met       int
	strangers []string
	endless   []*unending
	drips     []*dripping
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	if !slices.Contains(s.subject.Hosts, req.URL.Host) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.strangers = append(s.strangers, req.URL.Host)
		return nil, errors.New("no such host")
	}
	honest, err := s.subject.Honest(s.call, req)
	if s.subject.CallOf(req) != s.call {
		return honest, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.met++
	if honest == nil {
		honest = reply(req, http.StatusOK, "{}")
	}
	resp, err := s.answer.give(req, s.told(req, body), honest)
	if resp != nil {
		switch body := resp.Body.(type) {
		case *unending:
			s.endless = append(s.endless, body)
		case *dripping:
			s.drips = append(s.drips, body)
		}
	}
	return resp, err
}

// told is all that the service knows of the request, the secrets first: what comes late may be cut.
func (s *service) told(req *http.Request, body []byte) string {
	var text bytes.Buffer
	_ = req.Header.Write(&text)
	query, _ := url.QueryUnescape(req.URL.RawQuery)
	_, key, _ := req.BasicAuth()
	return fmt.Sprintf("%s %s %s %s %s %s %s", req.Header.Get("Authorization"), s.subject.Known, key, req.URL, query, strings.ToValidUTF8(string(body), "?"),
		strings.ReplaceAll(text.String(), "\r\n", " "))
}
