package decode_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/decode"
)

var limits = decode.Limits{Bytes: 1 << 20, Elements: 5000, List: 1000}

// answer has everything that answers of stores have.
type answer struct {
	XMLName xml.Name          `json:"-" xml:"answer"`
	Name    string            `json:"name"`
	Size    int64             `json:"size"`
	Own     upper             `json:"own"`
	Next    *int              `json:"next"`
	Ready   bool              `json:"ready"`
	Info    map[string]string `json:"info" xml:"-"`
	Inner   inner             `json:"inner"`
	Pointer *inner            `json:"pointer"`
	Parts   []inner           `json:"parts"`
	Names   []string          `json:"names"`
}

type inner struct {
	ID    string  `json:"id"`
	Inner []inner `json:"inner"`
}

// upper decodes itself.
type upper string

func (u *upper) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return errors.New("no string")
	}
	*u = upper(strings.ToUpper(string(b)))
	return nil
}

func (a *answer) IDs() []string { return []string{a.Inner.ID} }

// seeds are answers, and bombs.
var seeds = []string{
	`{"name":"a\u0000\ud83d\ude00","size":-5,"own":"x","next":7,"ready":true,"info":{"k":"v","l":""},"inner":{"id":"i"},"pointer":{"id":"p"},"parts":[{"id":"1"},{"inner":[{},null]}],"names":["n",null]}`,
	`{"NAME":"folded","Name":"again","name":"exact","unknown":[{"a":[1,2,{"b":null}]},"x",true],"parts":[],"info":{},"info":{"a":"b"}}`,
	`{"parts":[{"id":"1"},{"id":"2"}],"parts":[{}],"pointer":{"id":"1"},"pointer":null,"next":null,"info":null,"names":null}`,
	`null`, `{}`, ` {} `, `{} {}`, `{}x`, ``, `[]`, `"x"`, `7`, `{"size":"7"}`, `{"size":1e3}`, `{"size":9223372036854775808}`, `{"name":7}`, `{"parts":{}}`, `{"inner":[]}`,
	`{"own":null}`, `{"own":{}}`, `{"name":{}}`, `{"names":"x"}`, `{"info":[]}`, `{"next":[]}`, `{"a":`, `{"a":[}`, `{"a"}`, `{,}`, "{\"name\":\"\xff\"}", "{\"name\":\"\x1b\"}",
	`{"parts":[` + strings.Repeat(`{},`, 2000) + `{}]}`, `{"info":{` + strings.Repeat(`"a":"",`, 2000) + `"b":""}}`, `{"names":[` + strings.Repeat(`"",`, 999) + `""]}`,
	`{"unknown":[` + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100) + `]}`, strings.Repeat(`{"inner":`, 100), `{"name":"` + strings.Repeat("x", 40<<10) + `"}`,
	strings.Repeat(" ", 40<<10) + `{}`, `{"size":` + strings.Repeat("1", 40<<10) + `}`, `{"unknown":"` + strings.Repeat(`\u0000`, 20<<10) + `"}`,
	`{"inner":{"id":"\u001b[2J"}}`, `{"inner":{"id":"a b"}}`, `{"inner":{"id":"` + strings.Repeat("x", 2000) + `"}}`,
}

var xmlSeeds = []string{
	`<answer><Name>a</Name><Size> 7 </Size><Ready>true</Ready><Inner><ID>i</ID></Inner><Parts><ID>1</ID></Parts><Parts/><Names>n</Names></answer>`,
	`<?xml version="1.0" encoding="UTF-8"?><answer xmlns="http://a/"><!-- c --><x:Name xmlns:x="b" y="1">a&amp;<![CDATA[<b>]]></x:Name></answer>`,
	``, `x`, `<`, `<answer>`, `</answer>`, `<answer/>`, `<answer></b>`, `<other/>`, `<answer><Size>x</Size></answer>`, `<answer><Size>9223372036854775808</Size></answer>`, `<answer/><answer/>`,
	`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><answer><Name>&b;</Name></answer>`, "<answer><Name>\x1b</Name></answer>", "<answer><Name>\xff</Name></answer>",
	`<answer>` + strings.Repeat(`<Parts/>`, 2000) + `</answer>`, `<answer>` + strings.Repeat(`<a>`, 100), `<answer` + strings.Repeat(` a=""`, 6000) + `/>`, `<answer>` + strings.Repeat(`<a b="" c=""/>`, 900) + strings.Repeat(`<a b="" c="" d="" e=""/>`, 900) + `</answer>`,
	`<answer><Name>` + strings.Repeat("x", 40<<10) + `</Name></answer>`, `<answer><!--` + strings.Repeat("x", 40<<10) + `--></answer>`, `<answer a="` + strings.Repeat("x", 40<<10) + `"/>`,
	`<answer><Inner><ID>&#x202e;</ID></Inner></answer>`, `<answer>` + strings.Repeat(" ", 40<<10) + `</answer>`,
}

func TestJSON_RefusesWhatIsOverALimit(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"` + strings.Repeat("x", 2<<20) + `"}`:                               "a token of more than 32768 bytes",
		`{"names":["` + strings.Repeat(strings.Repeat("x", 30<<10)+`","`, 40) + `"]}`: "more than 1048576 bytes",
		`{"parts":[` + strings.Repeat(`{},`, 1000) + `{}]}`:                           "a list of more than 1000 entries",
		`{"unknown":[` + strings.Repeat(`0,`, 1000) + `0]}`:                           "a list of more than 1000 entries",
		`{"info":{` + strings.Repeat(`"a":"",`, 1000) + `"b":""}}`:                    "a list of more than 1000 entries",
		`{` + strings.Repeat(`"unknown":"",`, 1000) + `"b":""}`:                       "a list of more than 1000 entries",
		`{"unknown":[` + strings.Repeat(`[0,0,0,0,0,0,0,0],`, 999) + `[]]}`:           "more than 5000 elements",
		`{"unknown":` + strings.Repeat(`[`, 1000):                                     "nested more than 32 deep",
		strings.Repeat(`{"unknown":`, 1000):                                           "nested more than 32 deep",
		`{"parts":[` + strings.Repeat(`{"inner":[`, 1000):                             "nested more than 32 deep",
		strings.Repeat(" ", 40<<10) + `{}`:                                            "a token of more than 32768 bytes",
		`{"size":` + strings.Repeat("1", 40<<10) + `}`:                                "a token of more than 32768 bytes",
		`{"inner":{"id":"a\u202eb"}}`:                                                 "only the visible characters of ASCII",
		`{"inner":{"id":"` + strings.Repeat("x", 1025) + `"}}`:                        "an ID of 1025 bytes",
		`{"name":"x"}{}`: "something follows its end",
		`{"inner":[]}`:   "not of the kind expected",
		``:               "unexpected EOF",
	} {
		a := answer{Name: "as it was"}
		err := decode.JSON(strings.NewReader(text), &a, limits)
		require.ErrorIs(t, err, decode.ErrUnusable)
		require.ErrorContains(t, err, want)
		require.Equal(t, answer{Name: "as it was"}, a)
		require.Less(t, len(err.Error()), 500)
	}
}

func TestXML_RefusesWhatIsOverALimit(t *testing.T) {
	for text, want := range map[string]string{
		`<answer>` + strings.Repeat(`<Name>x</Name>`, 1001) + `</answer>`:                 "a list of more than 1000 entries",
		`<answer>` + strings.Repeat(`<unknown/>`, 1001) + `</answer>`:                     "a list of more than 1000 entries",
		`<answer>` + strings.Repeat(`<Parts><ID/><ID/><ID/><ID/><ID/></Parts>`, 999):      "more than 5000 elements",
		`<answer>` + strings.Repeat(`<a b="" c="" d="" e="" f=""/>`, 999):                 "more than 5000 elements",
		`<answer` + strings.Repeat(` a=""`, 6000) + `/>`:                                  "more than 5000 elements",
		`<answer` + strings.Repeat(` a=""`, 20000) + `/>`:                                 "a token of more than 32768 bytes",
		`<answer>` + strings.Repeat(`<a>`, 100):                                           "nested more than 32 deep",
		`<answer>` + strings.Repeat(strings.Repeat("x", 30<<10)+`<a/>`, 60) + `</answer>`: "more than 1048576 bytes",
		`<answer><Name>` + strings.Repeat("x", 40<<10) + `</Name></answer>`:               "a token of more than 32768 bytes",
		`<answer><!--` + strings.Repeat("x", 40<<10) + `--></answer>`:                     "a token of more than 32768 bytes",
		`<answer><Inner><ID>&#x9b;31m</ID></Inner></answer>`:                              "only the visible characters of ASCII",
		`<answer><Name>&b;</Name></answer>`:                                               "invalid character entity",
		``:                                                                                "EOF",
	} {
		err := decode.XML(strings.NewReader(text), new(answer), limits)
		require.ErrorIs(t, err, decode.ErrUnusable, "%.50q", text)
		require.ErrorContains(t, err, want)
	}
}

func TestAFailureToReadIsReturnedAsItIs(t *testing.T) {
	broken := errors.New("the connection broke")
	for text, read := range map[string]func(io.Reader, any, decode.Limits) error{
		``: decode.JSON, `{"name":"x"`: decode.JSON, `{"name":"x"}`: decode.JSON, `<answer><Name>`: decode.XML, `<answer>`: decode.XML,
	} {
		err := read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), new(answer), limits)
		require.Equal(t, broken, err)
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got, want answer
		err := decode.JSON(iotest.HalfReader(strings.NewReader(text)), &got, limits)
		failed := json.Unmarshal([]byte(text), &want)
		if err == nil {
			require.NoError(t, failed)
			require.Equal(t, want, got, "as encoding/json decodes it")
			return
		}
		require.ErrorIs(t, err, decode.ErrUnusable)
		if small(text) && decode.CheckID(want.Inner.ID) == nil {
			require.Error(t, failed, "encoding/json decodes it, and no limit is passed: %v", err)
		}
	})
}

func FuzzXML(f *testing.F) {
	for _, seed := range xmlSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got, want answer
		err := decode.XML(iotest.HalfReader(strings.NewReader(text)), &got, limits)
		failed := xml.Unmarshal([]byte(text), &want)
		if err == nil {
			require.NoError(t, failed)
			require.Equal(t, want, got, "as encoding/xml decodes it")
			return
		}
		require.ErrorIs(t, err, decode.ErrUnusable)
		if small(text) && decode.CheckID(want.Inner.ID) == nil {
			require.Error(t, failed, "encoding/xml decodes it, and no limit is passed: %v", err)
		}
	})
}

// small is a text that is within all limits, whatever is in it.
func small(text string) bool {
	return len(text) < 1000 && strings.Count(text, "[")+strings.Count(text, "{") < 32 && strings.Count(text, "<") < 32
}

func TestJSON_TellsAnEmptyObjectFromOneThatIsLeftOut(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`{"info":{}}`: {}, `{"info":{},"info":{"a":"b"}}`: {"a": "b"}, `{}`: nil, `{"info":null}`: nil, `{"info":{},"info":null}`: nil,
	} {
		var a answer
		require.NoError(t, decode.JSON(strings.NewReader(text), &a, limits), text)
		require.Equal(t, want, a.Info, text)
	}
}
