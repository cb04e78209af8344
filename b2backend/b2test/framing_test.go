package b2test_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSuccessIsPrettySortedAndEndsWithANewline(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	id := c.start("name \"quoted\" <&> é\u2028")
	a := c.call("b2_cancel_large_file", fields{"fileId": id})
	require.Equal(t, "{\n  \"accountId\": \""+s.AccountID()+"\",\n  \"bucketId\": \""+c.bucket+"\",\n  \"fileId\": \""+id+
		"\",\n  \"fileName\": \"name \\\"quoted\\\" <&> é\u2028\"\n}\n", string(a.raw))
	require.Equal(t, "application/json;charset=UTF-8", a.header.Get("Content-Type"))
	require.Equal(t, "max-age=0, no-cache, no-store", a.header.Get("Cache-Control"))
	require.NotEmpty(t, a.header.Get("Date"))
}

func TestErrorsEndWithoutANewlineAndInLowerCaseCharset(t *testing.T) {
	c := login(t, newServer(t, nil))
	a := c.call("b2_cancel_large_file", fields{"fileId": "bad-id"})
	require.Equal(t, "{\n  \"code\": \"bad_request\",\n  \"message\": \"Invalid fileId: bad-id\",\n  \"status\": 400\n}", string(a.raw))
	require.Equal(t, "application/json;charset=utf-8", a.header.Get("Content-Type"))
}

func TestControlCharactersAreTheOnlyEscapedOnes(t *testing.T) {
	c := login(t, newServer(t, nil))
	a := c.must("b2_start_large_file", fields{
		"bucketId": c.bucket, "fileName": "n", "contentType": "a/b", "fileInfo": fields{"k": "a\n\x7f\u2029"},
	})
	require.Contains(t, string(a.raw), "\"k\": \"a\\u000a\x7f\u2029\"")
}

// rawAnswer sends a request byte for byte and returns the header block as it came.
func rawAnswer(t *testing.T, base, request string) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	var block strings.Builder
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if line == "\r\n" {
			return block.String()
		}
		block.WriteString(line)
	}
}

func TestConnectionClosesOn400AndNotOn401(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	const form = "POST /b2api/v2/b2_cancel_large_file HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 19\r\n\r\n{\"fileId\":\"bad-id\"}"
	require.Contains(t, rawAnswer(t, c.api, fmt.Sprintf(form, c.token)), "Connection: close\r\n")
	block := rawAnswer(t, c.api, fmt.Sprintf(form, "nonsense"))
	require.Contains(t, block, "401")
	require.NotContains(t, block, "Connection")
}

func TestInfoHeadersKeepTheirSpelling(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("f", "x", "X-Bz-Info-Src_last_modified_millis", "12")
	block := rawAnswer(t, c.down, fmt.Sprintf("HEAD /file/%s/f HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", s.Bucket(), c.token))
	require.Contains(t, block, "X-Bz-Info-src_last_modified_millis: 12\r\n")
	require.Contains(t, block, "X-Bz-Content-Sha1: "+sum("x")+"\r\n")
}

func TestUploadNeedsContentLength(t *testing.T) {
	for name, framing := range map[string]string{"absent": "", "chunked": "Transfer-Encoding: chunked\r\n"} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			c := login(t, s)
			u := c.fileURL()
			i := strings.Index(u.url, "/b2api")
			block := rawAnswer(t, u.url[:i], "POST "+u.url[i:]+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+u.token+
				"\r\nX-Bz-File-Name: f\r\nContent-Type: a/b\r\nX-Bz-Content-Sha1: "+sum("")+"\r\n"+framing+"\r\n0\r\n\r\n")
			require.True(t, strings.HasPrefix(block, "HTTP/1.1 400 "), block)
			require.Empty(t, s.Files(s.Bucket()))
		})
	}
}

func TestEveryVersionInThePathIsServed(t *testing.T) {
	c := login(t, newServer(t, nil))
	for c.version = 1; c.version <= 4; c.version++ {
		u := c.fileURL()
		require.Contains(t, u.url, fmt.Sprintf("/b2api/v%d/b2_upload_file/%s/c002_v000", c.version, c.bucket))
		require.Len(t, u.token, 77)
	}
	require.Equal(t, 404, c.call("b2_get_upload_url", fields{"bucketId": c.bucket}).status, "version 5")
}

func TestReadingCallsTakeAQuery(t *testing.T) {
	c := login(t, newServer(t, nil))
	id := c.upload("f", "abc").str("fileId")
	large := c.start("l")
	for name, query := range map[string]string{
		"b2_get_upload_url":              "bucketId=" + c.bucket,
		"b2_get_upload_part_url":         "fileId=" + large,
		"b2_list_parts":                  "maxPartCount=5&fileId=" + large,
		"b2_list_unfinished_large_files": "bucketId=" + c.bucket,
		"b2_get_file_info":               "fileId=" + id,
		"b2_list_file_names":             "maxFileCount=1&bucketId=" + c.bucket,
		"b2_list_file_versions":          "bucketId=" + c.bucket,
	} {
		a := c.get(name, query)
		require.Equal(t, 200, a.status, "%s %s", name, a.raw)
	}
}

// The pages of the calls that change something say so too: the fields of the body
// become those of a query.
func TestChangingCallsTakeAQuery(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	must := func(name string, query url.Values) answer {
		t.Helper()
		a := c.get(name, query.Encode())
		require.Equal(t, 200, a.status, "%s %s", name, a.raw)
		return a
	}
	start := url.Values{
		"bucketId": {c.bucket}, "fileName": {"l"}, "contentType": {"a/b"}, "fileInfo": {`{"k":"v w"}`},
		"serverSideEncryption": {`{"mode":"SSE-B2","algorithm":"AES256"}`},
	}
	a := must("b2_start_large_file", start)
	require.Equal(t, fields{"k": "v w"}, a.body["fileInfo"])
	id := a.str("fileId")
	digests, err := json.Marshal(c.parts(id, "0123456789", "x"))
	require.NoError(t, err)
	must("b2_finish_large_file", url.Values{"fileId": {id}, "partSha1Array": {string(digests)}})
	must("b2_cancel_large_file", url.Values{"fileId": {must("b2_start_large_file", start).str("fileId")}})
	source := url.Values{"sourceFileId": {id}, "fileName": {"copy"}}
	copied := must("b2_copy_file", source).str("fileId")
	must("b2_hide_file", url.Values{"bucketId": {c.bucket}, "fileName": {"copy"}})
	must("b2_delete_file_version", url.Values{"fileName": {"copy"}, "fileId": {copied}})
	must("b2_list_buckets", url.Values{"accountId": {s.AccountID()}, "bucketTypes": {`["all"]`}})
	must("b2_create_key", url.Values{"accountId": {s.AccountID()}, "keyName": {"k"}, "capabilities": {`["listFiles"]`}})
	start.Set("fileInfo", "{")
	require.Equal(t, 400, c.get("b2_start_large_file", start.Encode()).status)
}

func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	c := login(t, newServer(t, nil))
	a := c.get("b2_upload_file", "")
	require.Equal(t, "bad_request", a.str("code"), "the wrong host")
	u := c.fileURL()
	req, err := http.NewRequest(http.MethodGet, u.url, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", u.token)
	require.Equal(t, "method_not_allowed", c.do(req).str("code"))
	req, err = http.NewRequest(http.MethodPut, c.api+"/b2api/v2/b2_list_buckets", nil)
	require.NoError(t, err)
	require.Equal(t, 405, c.do(req).status)
	req, err = http.NewRequest(http.MethodHead, c.api+"/b2api/v2/b2_get_upload_url?bucketId="+c.bucket, nil)
	require.NoError(t, err)
	require.Equal(t, 405, c.do(req).status)
	require.Equal(t, "not_found", c.post(c.api+"/b2api/v2/b2_no_such_call", "{}").str("code"))
	require.Equal(t, "not_found", c.post(c.api+"/elsewhere", "{}").str("code"))
}

func TestMalformedJSONIsBadJSON(t *testing.T) {
	c := login(t, newServer(t, nil))
	for _, body := range []string{"", "{", "[]", "null", `{"fileId":"a"} {}`, "fileId=a"} {
		a := c.post(c.api+"/b2api/v2/b2_list_parts", body)
		require.Equal(t, 400, a.status)
		require.Equal(t, "bad_json", a.str("code"), body)
	}
}

func TestNullIsAbsent(t *testing.T) {
	c := login(t, newServer(t, nil))
	c.must("b2_start_large_file", fields{
		"bucketId": c.bucket, "fileName": "n", "contentType": "a/b", "fileInfo": nil, "serverSideEncryption": nil,
		"fileRetention": nil, "legalHold": nil, "customUploadTimestamp": nil,
	})
	require.Equal(t, 400, c.call("b2_list_parts", fields{"fileId": nil}).status)
}

func TestFieldsAreCheckedForTypeAndRangeAndKnownness(t *testing.T) {
	c := login(t, newServer(t, nil))
	id := c.start("n")
	for _, in := range []fields{
		{},
		{"fileId": 7},
		{"fileId": id, "maxPartCount": "many"},
		{"fileId": id, "maxPartCount": 1001},
		{"fileId": id, "maxPartCount": 0},
		{"fileId": id, "unheardOf": 1},
	} {
		require.Equal(t, 400, c.call("b2_list_parts", in).status, "%v", in)
	}
}
