package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ugliness is what does something to a terminal, and is long.
var ugliness = "\x1b[2J\u009b31m\u202e\u2028\x7f" + strings.Repeat("x", 64<<10)

// texts matches the texts in an answer: what a key of JSON stands for, and what is between tags.
var texts = regexp.MustCompile(`(:\s*"|>)([^"<>]*)("|</)`)

// ugly are honest answers in which one text, or one header, is ugly, and refusals whose texts are.
func ugly() []Answer {
	var list []Answer
	for _, long := range []bool{false, true} {
		text, kind := ugliness, "long"
		if !long {
			text, kind = ugliness[:40], "short"
		}
		for i := range 12 {
			list = append(list, Answer{
				Name: fmt.Sprintf("ugly text %d, %s", i, kind), Passes: true,
				give: func(_ *http.Request, _ string, honest *http.Response) (*http.Response, error) {
					data, _ := io.ReadAll(honest.Body)
					quoted := quote(data, text)
					n := -1
					data = texts.ReplaceAllFunc(data, func(match []byte) []byte {
						if n++; n != i {
							return match
						}
						m := texts.FindSubmatch(match)
						return slices.Concat(m[1], quoted, m[3])
					})
					honest.Body, honest.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
					return honest, nil
				},
			})
		}
		for _, name := range headers {
			list = append(list, Answer{
				Name: fmt.Sprintf("ugly %s, %s", name, kind), Passes: true,
				give: func(_ *http.Request, _ string, honest *http.Response) (*http.Response, error) {
					// what no header can have, http has refused
					honest.Header.Set(name, strings.TrimLeft(text, "\x1b"))
					return honest, nil
				},
			})
		}
		for _, status := range []int{301, 400, 401, 403, 404, 409, 412, 429, 500, 503} {
			for form, body := range map[string][]byte{
				"JSON": slices.Concat([]byte(`{"code":"`), quote([]byte("{"), text), []byte(`","message":"`), quote([]byte("{"), text), []byte(`"}`)),
				"XML":  slices.Concat([]byte(`<Error><Code>`), quote(nil, text), []byte(`</Code><Message>`), quote(nil, text), []byte(`</Message><Region>`), quote(nil, text), []byte(`</Region></Error>`)),
				"HTML": []byte("<html>" + text),
			} {
				list = append(list, Answer{
					Name: fmt.Sprintf("ugly %s %d, %s", form, status, kind), Passes: true,
					give: func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
						resp := reply(req, status, string(body))
						for _, name := range headers {
							resp.Header.Set(name, text)
						}
						return resp, nil
					},
				})
			}
		}
		list = append(list, Answer{Name: "ugly error of the transport, " + kind, give: func(*http.Request, string, *http.Response) (*http.Response, error) {
			return nil, errors.New("proxy said: " + text)
		}}, Answer{Name: "ugly certificate, " + kind, give: func(*http.Request, string, *http.Response) (*http.Response, error) {
			return nil, &tls.CertificateVerificationError{Err: errors.New("it is valid for " + text)}
		}})
	}
	return list
}

// quote makes a text part of JSON, or of XML if the answer is not JSON.
func quote(answer []byte, text string) []byte {
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("{")) {
		quoted, _ := json.Marshal(text)
		return quoted[1 : len(quoted)-1]
	}
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text))
	return b.Bytes()
}

// headers are those that are read.
var headers = []string{
	"Location", "Retry-After", "Date", "Etag", "X-Amz-Request-Id", "X-Amz-Bucket-Region", "X-Amz-Checksum-Sha256", "X-Bz-File-Id",
	"X-Bz-Content-Sha1", "Content-Range", "X-Amz-Version-Id", "Content-Length",
}
