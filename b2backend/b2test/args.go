package b2test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// maxRequestBody bounds the JSON of a request; an array of 10,000 digests takes some 430 KB.
const maxRequestBody = 4 << 20

// args are the fields of a request, from a JSON body or a query. The first bad
// one is kept in err; a field that no accessor asked for is unknown, and the
// service refuses it (documented; the texts are uncertain).
type args struct {
	values map[string]any
	query  bool // values came as text, so numbers are text too
	asked  map[string]bool
	within []*args // of the objects among them
	err    *apiError
}

// readArgs decodes the fields of r. A POST must carry a JSON object, with or
// without a Content-Type.
func readArgs(r *http.Request) (*args, error) {
	a := &args{values: map[string]any{}, asked: map[string]bool{}}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		a.query = true
		for key, values := range r.URL.Query() {
			a.values[key] = values[0]
		}
		return a, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil {
		return nil, localserver.ErrGone
	}
	if len(body) > maxRequestBody {
		return nil, badRequest("request is longer than %d bytes", maxRequestBody)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&a.values); err != nil || a.values == nil {
		return nil, badCode("bad_json", "request is not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, badCode("bad_json", "request has more than one JSON value")
	}
	return a, nil
}

// peek returns a text field without marking it as asked for, and "" when it is
// absent or of another type.
func (a *args) peek(key string) string {
	if a == nil {
		return ""
	}
	s, _ := a.values[key].(string)
	return s
}

func (a *args) get(key string) any {
	a.asked[key] = true
	return a.values[key]
}

func (a *args) fail(err *apiError) {
	if a.err == nil {
		a.err = err
	}
}

// optional returns a text field, or "" when it is absent or null.
func (a *args) optional(key string) string {
	v := a.get(key)
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		a.fail(badRequest("field %s is not a string", key))
	}
	return s
}

// required returns a text field that must be there.
func (a *args) required(key string) string {
	if a.get(key) == nil {
		a.fail(badRequest("required field %s is missing", key))
	}
	return a.optional(key)
}

// number returns a whole number within low and high, or def when the field is absent or null.
func (a *args) number(key string, def, low, high int64) int64 {
	v := a.get(key)
	if v == nil {
		return def
	}
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		if a.query {
			text = v
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		a.fail(badRequest("field %s is not a number", key))
		return def
	}
	if n < low || n > high {
		a.fail(badCode("out_of_range", "%s %d is not within %d and %d", key, n, low, high))
	}
	return n
}

// moment returns the text of a timestamp, which may be a number or a string
// (both are documented), and whether it is there.
func (a *args) moment(key string) (string, bool) {
	switch v := a.get(key).(type) {
	case nil:
		return "", false
	case json.Number:
		return v.String(), true
	case string:
		return v, true
	default:
		return "not a number", true
	}
}

// millis returns a timestamp as milliseconds, 0 when it is absent or null.
func (a *args) millis(key string) int64 {
	text, ok := a.moment(key)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		a.fail(badRequest("field %s is not a timestamp", key))
	}
	return n
}

// flag returns a boolean, false when it is absent or null.
func (a *args) flag(key string) bool {
	switch v := a.get(key).(type) {
	case nil:
		return false
	case bool:
		return v
	case string: // documented for bypassGovernance
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	a.fail(badRequest("field %s is not a boolean", key))
	return false
}

// structure returns a field that is an array or an object, nil when it is absent
// or null. In a query it is JSON: how the service takes it there is uncertain.
func (a *args) structure(key string) any {
	v := a.get(key)
	text, ok := v.(string)
	if !ok || !a.query {
		return v
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var decoded any
	if dec.Decode(&decoded) != nil {
		a.fail(badRequest("field %s is not JSON", key))
	}
	return decoded
}

// texts returns an array of text, nil when it is absent or null.
func (a *args) texts(key string) []string {
	v := a.structure(key)
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		a.fail(badRequest("field %s is not an array", key))
		return nil
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			a.fail(badRequest("field %s holds what is not a string", key))
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

// object returns the fields of an object, nil when it is absent or null. What
// is wrong with them done says.
func (a *args) object(key string) *args {
	v := a.structure(key)
	if v == nil {
		return nil
	}
	values, ok := v.(map[string]any)
	if !ok {
		a.fail(badRequest("field %s is not an object", key))
		return nil
	}
	o := &args{values: values, asked: map[string]bool{}}
	a.within = append(a.within, o)
	return o
}

// stringMap returns an object whose values are all text, nil when it is absent or null.
func (a *args) stringMap(key string) map[string]string {
	o := a.object(key)
	if o == nil {
		return nil
	}
	texts := make(map[string]string, len(o.values))
	for k := range o.values {
		texts[k] = o.required(k)
	}
	return texts
}

// done returns the first thing wrong with the fields, and with those of objects among them.
func (a *args) done() error {
	if a.err != nil {
		return a.err
	}
	for _, o := range a.within {
		if err := o.done(); err != nil {
			return err
		}
	}
	var unknown []string
	for key := range a.values {
		if !a.asked[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return badRequest("unknown field: %s", unknown[0])
	}
	return nil
}

// answerable turns decoded JSON into what render takes.
func answerable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(object, len(v))
		for key, value := range v {
			o[key] = answerable(value)
		}
		return o
	case []any:
		l := make(list, 0, len(v))
		for _, item := range v {
			l = append(l, answerable(item))
		}
		return l
	case json.Number:
		n, _ := v.Int64() // settings that come back hold whole numbers only
		return n
	}
	return v
}
