package hostile

import (
	"io"
	"net/http"
	"strings"
)

// Bomb is an answer that becomes much more than its bytes.
type Bomb struct{ Start, Repeated, End string }

// Reader returns the bomb, in about so many bytes.
func (b Bomb) Reader(size int) io.Reader {
	const chunk = 64 << 10
	repeated := strings.Repeat(b.Repeated, chunk/len(b.Repeated))
	readers := []io.Reader{strings.NewReader(b.Start)}
	for range size / chunk {
		readers = append(readers, strings.NewReader(repeated))
	}
	return io.MultiReader(append(readers, strings.NewReader(b.End))...)
}

// Seed returns a small bomb for a fuzz target, over the limits on what it becomes
// all the same.
func (b Bomb) Seed() string {
	text, _ := io.ReadAll(b.Reader(64 << 10))
	return string(text)
}

// Bombs are answers of every form that a store takes, by what they are of.
var Bombs = map[string]Bomb{
	"files":        {`{"files":[`, `{},`, `{}]}`},
	"parts":        {`{"parts":[`, `{},`, `{}]}`},
	"a plan":       {`{"file":{"id":"f"},"upload_data":{"id":"u","parts":[`, `{},`, `{}]}}`},
	"URLs":         {`{"file":{"id":"f"},"upload_data":{"id":"u","parts":[`, `{"presigned_url":"https://objects.example/` + strings.Repeat("x", 2000) + `"},`, `{}]}}`},
	"buckets":      {`{"buckets":[`, `{},`, `{}]}`},
	"capabilities": {`{"accountId":"a","authorizationToken":"t","apiInfo":{"storageApi":{"allowed":{"capabilities":[`, `"",`, `""]}}}}`},
	"info":         {`{"fileId":"f","fileInfo":{`, `"a":"",`, `"b":""}}`},
	"unknown":      {`{"x":[`, `[],`, `[]]}`},
	"a string":     {`{"fileId":"`, `x`, `"}`},
	"blanks":       {``, ` `, `{}`},
	"brackets":     {`{"x":`, `[`, ``},
	"uploads":      {`<ListMultipartUploadsResult>`, `<Upload/>`, `</ListMultipartUploadsResult>`},
	"S3 parts":     {`<ListPartsResult>`, `<Part/>`, `</ListPartsResult>`},
	"attributes":   {`<ListPartsResult`, ` a=""`, `/>`},
	"tags":         {`<ListPartsResult>`, `<a>`, ``},
	"errors":       {`<Error>`, `<Code/>`, `</Error>`},
	"comments":     {`<ListPartsResult>`, `<!---->`, `</ListPartsResult>`},
	"entities":     {`<!DOCTYPE x [`, `<!ENTITY a "aaaaaaaa">`, `]><ListPartsResult/>`},
}

// bombs are answers of few bytes, or of many, that become much more.
func bombs() []Answer {
	var list []Answer
	for name, b := range Bombs {
		if name == "URLs" {
			// its texts may all be kept, and take their time: the tests that
			// measure memory meet it
			continue
		}
		list = append(list, Answer{
			Name: "bomb of " + name, give: func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
				resp := reply(req, http.StatusOK, "")
				resp.Body, resp.ContentLength = io.NopCloser(b.Reader(64<<20)), -1
				return resp, nil
			},
		})
	}
	return list
}
