// Package secret holds values that must not be printed, such as keys and tokens.
package secret

import (
	"cmp"
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

// Name is what a value that holds secrets shows of itself to every formatter,
// encoder and logger. It is embedded. The zero Name is "default".
type Name struct{ text string }

// Named returns a Name.
func Named(text string) Name { return Name{text} }

// String returns the name.
func (n Name) String() string { return cmp.Or(n.text, "default") }

// Format prints the name for every verb.
func (n Name) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// MarshalText returns the name.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// LogValue returns the name.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.String()) }
