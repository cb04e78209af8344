package hostile

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Answer is what a hostile service answers.
type Answer struct {
	Name string
	// Passes is whether it may be taken for a success that says nothing.
	Passes bool

	// give makes it. told is all that the service could know, and honest is
	// what it would have answered.
	give func(req *http.Request, told string, honest *http.Response) (*http.Response, error)
}

// elsewhere is where credentials must not go.
const elsewhere = "elsewhere.test"

// answers are all the ways in which a service, or what stands before it, may
// answer that does not mean well.
func answers() []Answer {
	var list []Answer
	add := func(name string, give func(*http.Request, string, *http.Response) (*http.Response, error)) {
		list = append(list, Answer{Name: name, give: give})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		add(fmt.Sprintf("redirect %d", status), func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
			resp := reply(req, status, "moved")
			resp.Header.Set("Location", "https://"+elsewhere+req.URL.Path+"?"+url.QueryEscape(told))
			return resp, nil
		})
	}
	for _, status := range []int{200, 400, 503} {
		add(fmt.Sprintf("endless %d", status), func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
			resp := reply(req, status, "")
			resp.Body = new(unending)
			return resp, nil
		})
	}
	for name, text := range map[string]string{
		"empty": "", "page": "<html><body>Welcome</body></html>", "list": "[]", "number": "7", "text": `"x"`, "bytes": "\x00\xff\xfe\x1b[31m",
		"deep JSON": strings.Repeat("[", 1<<17), "deep XML": strings.Repeat("<a>", 1<<17),
		"XML bomb":       `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Error><Code>&b;</Code></Error>`,
		"numbers":        `{"partNumber":1e999,"contentLength":-1,"fileId":7,"file":{"id":7},"parts":[{"part_number":"x"}]}`,
		"another's JSON": `{"fileId":"other","id":"other","file":{"id":"other"},"contentLength":1,"partNumber":9,"uploadUrl":"http://elsewhere.test/","apiInfo":{}}`,
		"JSON escapes":   `{"code":"\u001b[31m","message":"two\r\nlines \u001b[2J \u0000"}`,
		"XML escapes":    "<Error><Code>a&#10;b</Code><Message>two&#13;&#10;lines \x7f</Message><RequestId>&#10;</RequestId></Error>",
		"empty object":   "{}", "null": "null",
	} {
		for _, status := range []int{200, 400, 503} {
			list = append(list, Answer{
				Name: fmt.Sprintf("%s %d", name, status), Passes: status == 200 && (name == "empty object" || name == "null" || name == "another's JSON" || name == "JSON escapes"),
				give: func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
					return reply(req, status, text), nil
				},
			})
		}
	}
	for _, status := range []int{204, 206, 299, 304, 401, 403, 404, 999} {
		list = append(list, Answer{
			Name: fmt.Sprintf("status %d", status), Passes: status < 300 || status == 404,
			give: func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
				return reply(req, status, ""), nil
			},
		})
	}
	add("cut", func(_ *http.Request, _ string, honest *http.Response) (*http.Response, error) {
		honest.Body = cut(honest.Body, io.ErrUnexpectedEOF)
		return honest, nil
	})
	add("cut, and nothing says so", func(_ *http.Request, _ string, honest *http.Response) (*http.Response, error) {
		honest.Body = cut(honest.Body, io.EOF)
		for name := range honest.Header {
			honest.Header.Set(name, "")
		}
		return honest, nil
	})
	return slices.Concat(list, ugly(), bombs(), drips(), leaks())
}

// leaks throw back all that the service was told.
func leaks() []Answer {
	var list []Answer
	add := func(name string, give func(*http.Request, string, *http.Response) (*http.Response, error)) {
		list = append(list, Answer{Name: "secrets " + name, give: give})
	}
	list = append(list, Answer{
		Name: "secrets for ids", Passes: true,
		give: func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
			quoted, _ := json.Marshal(told)
			return reply(req, http.StatusOK, fmt.Sprintf(`{"id":%[1]s,"fileId":%[1]s,"fileName":%[1]s,"file":{"id":%[1]s},"accountId":%[1]s,`+
				`"contentSha1":%[1]s,"uploadUrl":%[1]s,"authorizationToken":"t"}`, quoted)), nil
		},
	})
	for _, status := range []int{200, 400, 401, 403, 503} {
		list = append(list, Answer{
			Name: fmt.Sprintf("secrets in JSON %d", status), Passes: status == 200,
			give: func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
				quoted, _ := json.Marshal(told)
				return reply(req, status, fmt.Sprintf(`{"code":%s,"message":%s}`, quoted, quoted)), nil
			},
		}, Answer{
			Name: fmt.Sprintf("secrets in a gRPC error %d", status), Passes: status == 200,
			give: func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
				quoted, _ := json.Marshal(told)
				return reply(req, status, fmt.Sprintf(`{"code":3,"message":%s,"details":[{"@type":%s}]}`, quoted, quoted)), nil
			},
		})
		add(fmt.Sprintf("in XML %d", status), func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
			var text bytes.Buffer
			_ = xml.EscapeText(&text, []byte(told))
			return reply(req, status, fmt.Sprintf("<Error><Code>%s</Code><Message>%[1]s</Message><RequestId>%[1]s</RequestId>"+
				"<Region>%[1]s</Region><StringToSign>%[1]s</StringToSign></Error>", text.String())), nil
		})
		list = append(list, Answer{
			Name: fmt.Sprintf("secrets in headers %d", status), Passes: status == 200,
			give: func(req *http.Request, told string, honest *http.Response) (*http.Response, error) {
				resp := reply(req, status, "")
				if status == 200 {
					resp = honest
				}
				for _, name := range headers {
					resp.Header.Set(name, told)
				}
				return resp, nil
			},
		})
		add(fmt.Sprintf("in a body of nothing %d", status), func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
			return reply(req, status, told), nil
		})
	}
	add("and a token in use", func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
		return reply(req, 400, fmt.Sprintf(`{"code":"auth_token_limit","message":"more than one upload using auth token %s"}`, req.Header.Get("Authorization"))), nil
	})
	add("of the transport", func(_ *http.Request, told string, _ *http.Response) (*http.Response, error) {
		return nil, errors.New("wrote " + told)
	})
	add("in a URL of the transport", func(req *http.Request, _ string, _ *http.Response) (*http.Response, error) {
		u := *req.URL
		u.User = url.UserPassword("user", req.Header.Get("Authorization"))
		return nil, &url.Error{Op: req.Method, URL: u.String(), Err: io.ErrUnexpectedEOF}
	})
	add("in a body that breaks", func(req *http.Request, told string, _ *http.Response) (*http.Response, error) {
		resp := reply(req, 200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing(told)))
		return resp, nil
	})
	return list
}

// reply is an answer of a status with a body.
func reply(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// unending is a body that does not end.
type unending struct{ read int64 }

func (e *unending) Read(q []byte) (int, error) {
	e.read += int64(len(q))
	return len(q), nil
}

func (*unending) Close() error { return nil }

// cut is the first half of a body, and then err.
func cut(body io.ReadCloser, err error) io.ReadCloser {
	data, _ := io.ReadAll(body)
	_ = body.Close()
	half := bytes.NewReader(data[:len(data)/2])
	if err == io.EOF {
		return io.NopCloser(half)
	}
	return io.NopCloser(io.MultiReader(half, failing(err.Error())))
}

// failing is a body that breaks with a text.
type failing string

func (f failing) Read([]byte) (int, error) { return 0, errors.New(string(f)) }
