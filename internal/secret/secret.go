// Package secret holds values that must not be printed, such as keys and tokens.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is printed in place of a secret.
const Redacted = "[redacted]"

// Value holds a secret that no formatter, encoder or logger shows. A function
// returns the secret, because the methods are not enough: fmt calls none of a
// value in an unexported field, and follows pointers there for verbs such as
// %s. The zero Value holds no secret. A Value may be used concurrently.
type Value[T any] struct{ reveal func() T }

// New returns a Value that holds v.
func New[T any](v T) Value[T] { return Value[T]{func() T { return v }} }

// Given reports whether v holds a secret.
func (v Value[T]) Given() bool { return v.reveal != nil }

// Reveal returns the secret, or the zero T if there is none.
func (v Value[T]) Reveal() (secret T) {
	if v.Given() {
		secret = v.reveal()
	}
	return secret
}

// Format prints [Redacted] for every verb.
func (v Value[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns [Redacted]. It is what encoding/json and encoding/xml call.
func (v Value[T]) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns [Redacted].
func (v Value[T]) LogValue() slog.Value { return slog.StringValue(Redacted) }
