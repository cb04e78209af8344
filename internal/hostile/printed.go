package hostile

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
)

// Printed returns all that a program can print of a value: by itself, and in a
// field, exported or not, of a struct, with every verb of fmt, every encoder of
// the standard library, and both handlers of log/slog.
func Printed(v any) string {
	var text bytes.Buffer
	for _, v := range []any{
		v, &v,
		[]any{v},
		map[string]any{"v": v},
		struct{ V any }{v},
		&struct{ V any }{v},
		struct{ v any }{v},
		&struct{ v any }{v},
		[]struct{ v any }{{v}},
		struct{ v struct{ v any } }{struct{ v any }{v}},
	} {
		printf(&text, v)
		// What an encoder does not take it may have written in part.
		_ = json.NewEncoder(&text).Encode(v)
		_ = xml.NewEncoder(&text).Encode(v)
		_ = gob.NewEncoder(&text).Encode(v)
		for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&text, nil)} {
			slog.New(h).With("with", v).WithGroup("group").Info("printed", "value", v, slog.Group("group", "value", v))
		}
	}
	return text.String()
}

// printf prints a value with every verb.
func printf(w io.Writer, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%p"} {
		fmt.Fprintf(w, verb+"\n", v)
	}
}
