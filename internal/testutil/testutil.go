// Package testutil has what the tests of several packages need. It imports no
// package of this module, and not testing.
package testutil

import (
	"math/rand/v2"
	"net/http"
)

// RoundTripFunc is a transport made of a function.
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ReaderFunc is a reader made of a function.
type ReaderFunc func([]byte) (int, error)

// Read calls f.
func (f ReaderFunc) Read(p []byte) (int, error) { return f(p) }

// Content returns the first n bytes of a run of random bytes, which is always the
// same.
func Content(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // it never fails
	return data
}
