package decode

import (
	"bytes"
	"encoding/xml"
	"io"
)

// XML decodes an answer into what target points to, as [xml.Unmarshal] does.
// After an error the target is of no use.
func XML(r io.Reader, target any, limits Limits) error {
	m := newMeter(r, limits)
	err := xml.NewTokenDecoder(&xmlTokens{xml.NewDecoder(m), m}).Decode(target)
	return finish(m, target, err)
}

// Root returns the name of the root element of an answer, "" if it does not begin
// with one, and a reader of all of the answer.
func Root(r io.Reader) (string, io.Reader) {
	var head bytes.Buffer
	whole := io.MultiReader(&head, r)
	m := newMeter(io.TeeReader(r, &head), Refusal)
	for tokens := (&xmlTokens{xml.NewDecoder(m), m}); ; {
		token, err := tokens.Token()
		if err != nil {
			return "", whole
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local, whole
		}
	}
}

// xmlTokens are the tokens of an answer, counted.
type xmlTokens struct {
	*xml.Decoder
	meter *meter
}

// Token returns the next token as it stands: what the decoder that asks makes of
// it, such as which end belongs to which start, is its own to check.
func (t *xmlTokens) Token() (xml.Token, error) {
	token, err := t.RawToken()
	if err != nil {
		return token, err
	}
	elements := 0
	switch token := token.(type) {
	case xml.StartElement:
		elements = 1 + len(token.Attr)
		if err = t.meter.child(); err == nil {
			err = t.meter.open()
		}
	case xml.EndElement:
		t.meter.close()
	}
	if err == nil {
		err = t.meter.token(elements)
	}
	if err != nil {
		return nil, err // the error that comes with a token is not looked at
	}
	return token, nil
}
