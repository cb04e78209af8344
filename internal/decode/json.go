package decode

import (
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// JSON decodes an answer into the struct that target points to, as
// [json.Unmarshal] does. Its fields are structs, pointers to them, slices, maps
// with string keys, and what a string, number, bool or null is decoded into.
// Nothing of what target held stays; after an error it is unchanged.
func JSON(r io.Reader, target any, limits Limits) error {
	m := newMeter(r, limits)
	d := &jsonDecoder{Decoder: json.NewDecoder(m), meter: m}
	d.UseNumber()
	place := reflect.ValueOf(target).Elem()
	fresh := reflect.New(place.Type())
	err := d.value(fresh.Elem())
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("something follows its end")
		}
	}
	if err = finish(m, fresh.Interface(), err); err == nil {
		place.Set(fresh.Elem())
	}
	return err
}

// jsonDecoder decodes token by token, so that nothing is held that is not kept.
type jsonDecoder struct {
	*json.Decoder
	meter *meter
}

// next returns the next token, counted.
func (d *jsonDecoder) next() (json.Token, error) {
	t, err := d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = d.meter.token(1)
	}
	return t, err
}

var errOther = errors.New("a value is not of the kind expected")

// value decodes the next value into v.
func (d *jsonDecoder) value(v reflect.Value) error {
	t, err := d.next()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return d.object(v)
	case json.Delim('['):
		return d.list(v)
	}
	if s, ok := t.(string); ok && v.Kind() == reflect.String && !decodesItself(v) {
		v.SetString(s) // nearly all that a large answer has
		return nil
	}
	text, err := json.Marshal(t) // a string, number, bool or null
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v.Addr().Interface())
}

// object decodes what comes after a brace.
func (d *jsonDecoder) object(v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Map || decodesItself(v) {
		return errOther
	}
	if v.Kind() == reflect.Map && v.IsNil() { // an empty object is not one that is left out
		v.Set(reflect.MakeMap(v.Type()))
	}
	return d.entries(func() error {
		t, err := d.next()
		if err != nil {
			return err
		}
		key := t.(string) // nothing else can be a key
		if v.Kind() == reflect.Map {
			entry := reflect.New(v.Type().Elem()).Elem()
			err := d.value(entry)
			v.SetMapIndex(reflect.ValueOf(key), entry)
			return err
		}
		if f := field(v, key); f.IsValid() {
			return d.value(f)
		}
		return d.skip()
	})
}

// field finds the field of a key, which is invalid if there is none.
func field(v reflect.Value, key string) (found reflect.Value) {
	for i := range v.NumField() {
		switch name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); {
		case name == key:
			return v.Field(i)
		case strings.EqualFold(name, key) && !found.IsValid():
			found = v.Field(i)
		}
	}
	return found
}

func decodesItself(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return true
	}
	return false
}

// list decodes what comes after a bracket.
func (d *jsonDecoder) list(v reflect.Value) error {
	if v.Kind() != reflect.Slice || decodesItself(v) {
		return errOther
	}
	n := 0
	err := d.entries(func() error {
		if n++; n > v.Len() {
			v.Grow(1)
			v.SetLen(n)
		}
		return d.value(v.Index(n - 1))
	})
	v.SetLen(n)
	if n == 0 {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	return err
}

// skip passes over the next value.
func (d *jsonDecoder) skip() error {
	t, err := d.next()
	if err != nil {
		return err
	}
	if _, opens := t.(json.Delim); !opens {
		return nil
	}
	return d.entries(func() error {
		if t == json.Delim('{') {
			if _, err := d.next(); err != nil {
				return err
			}
		}
		return d.skip()
	})
}

// entries calls entry for each entry of the container that was opened, and reads
// its end.
func (d *jsonDecoder) entries(entry func() error) error {
	if err := d.meter.open(); err != nil {
		return err
	}
	for d.More() {
		if err := d.meter.child(); err != nil {
			return err
		}
		if err := entry(); err != nil {
			return err
		}
	}
	d.meter.close()
	_, err := d.next()
	return err
}
