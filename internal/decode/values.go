package decode

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/c1508ce4/sluice/internal/printable"
)

// Number is an integer of JSON or XML, of any length: the nearest int64 is kept, so that
// an entry of a list that is out of range does not hide the others.
type Number int64

// UnmarshalJSON reads an integer.
func (n *Number) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errors.New("not an integer") // the text is the store's, and may be anything
	}
	*n = Number(v)
	return nil
}

// UnmarshalText reads an integer of XML, where an empty element is 0, as it is
// for the integers of encoding/xml.
func (n *Number) UnmarshalText(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		*n = 0
		return nil
	}
	return n.UnmarshalJSON(text)
}

// Time is a time by a store's word: in JSON milliseconds since 1970, in XML text
// as in RFC 3339. What is no time, or not in the years that have four digits, is
// the zero Time, so that such an entry of a list does not hide the others.
type Time struct{ time.Time }

// UnmarshalJSON reads milliseconds.
func (t *Time) UnmarshalJSON(text []byte) error {
	*t = Time{}
	if ms, err := strconv.ParseInt(string(text), 10, 64); err == nil && ms > 0 {
		t.Time = printable.Time(time.UnixMilli(ms))
	}
	return nil
}

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(text []byte) error {
	*t = Time{}
	if at, err := time.Parse(time.RFC3339, string(text)); err == nil {
		t.Time = printable.Time(at)
	}
	return nil
}
