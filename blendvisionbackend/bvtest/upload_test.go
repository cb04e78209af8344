package bvtest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/blendvisionbackend/internal/vectors"
)

const mebi = 1 << 20

func read(t *testing.T, name string) map[string]vectors.Vector {
	byName, err := vectors.Read("../testdata/" + name)
	require.NoError(t, err)
	return byName
}

// play sends a vector with the ids and credentials replaced.
func (c client) play(v vectors.Vector, url string, ids *strings.Replacer) answer {
	var headers []string
	for name, value := range v.Request.Headers {
		headers = append(headers, name, ids.Replace(value))
	}
	body := []byte(ids.Replace(string(v.Request.Body)))
	if v.Request.Method == http.MethodPut {
		var text string
		require.NoError(c.t, json.Unmarshal(body, &text))
		body = []byte(text)
	}
	return c.send(v.Request.Method, url+ids.Replace(v.Request.Path), body, headers...)
}

func TestSampleClientsRequestsUploadAFile(t *testing.T) {
	c := start(t, &bvtest.Options{Token: "api-token", OrgID: "organization-id"})
	sample := read(t, "sample-client.json")

	a := c.play(sample["open"], c.server.URL(), strings.NewReplacer())
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	var u upload
	require.NoError(t, json.Unmarshal(a.body, &u))
	require.Len(t, u.UploadData.Parts, 1)

	a = c.play(sample["put"], u.UploadData.Parts[0].URL, strings.NewReplacer())
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(t, `"5eb63bbbe01eeed093cb22bb8f5acdc3"`, a.header.Get("ETag"))

	ids := strings.NewReplacer("library-id", u.File.ID, "upload-id", u.UploadData.ID,
		`"part_number": 1`, `"part_number": `+string(u.UploadData.Parts[0].Number))
	a = c.play(sample["complete"], c.server.URL(), ids)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)

	content, ok := c.server.Content(u.File.ID)
	require.True(t, ok)
	require.Equal(t, "hello world", string(content))
	require.NoError(t, c.server.Check())
}

func TestAnswersHaveTheDocumentedFields(t *testing.T) {
	documented := read(t, "documented.json")
	for _, name := range []string{"open", "open, upload_data inside file", "complete", "cancel", "download"} {
		t.Run(name, func(t *testing.T) {
			c := start(t, &bvtest.Options{
				Token: "api-token", OrgID: "organization-id", FirstNumber: 1, NestUploadData: strings.Contains(name, "inside"),
			})
			v := documented[name]
			if !strings.HasPrefix(name, "open") {
				u := c.open(11)
				etag := c.put(u.UploadData.Parts[0].URL, []byte("hello world")).header.Get("ETag")
				if name == "download" {
					require.Equal(t, http.StatusOK,
						c.complete(u, u.completion(t, []string{etag}, []byte("hello world"))).status)
				}
				v.Request.Path = strings.Replace(v.Request.Path, "library-id", u.File.ID, 1)
				v.Request.Body = bytes.Replace(v.Request.Body, []byte("upload-id"), []byte(u.UploadData.ID), 1)
			}
			a := c.play(v, c.server.URL(), strings.NewReplacer())
			require.Equal(t, v.Response.Status, a.status, "%s", a.body)
			require.Equal(t, shape(t, v.Response.Body), shape(t, a.body))
		})
	}
}

// shape is a JSON value with every scalar replaced by its kind, and attrs left
// out: they are the user's.
func shape(t *testing.T, body []byte) any {
	var v any
	require.NoError(t, json.Unmarshal(body, &v))
	var kind func(v any) any
	kind = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name := range v {
				v[name] = kind(v[name])
			}
			delete(v, "attrs")
			return v
		case []any:
			for i := range v {
				v[i] = kind(v[i])
			}
			return v
		case string:
			return "string"
		case float64:
			return "number"
		}
		return v
	}
	return kind(v)
}

func TestServerPlansTheParts(t *testing.T) {
	t.Run("by size", func(t *testing.T) {
		c := start(t, nil)
		require.Len(t, c.open(100_000_000).UploadData.Parts, 1)
		require.Len(t, c.open(100_000_001).UploadData.Parts, 2)
	})
	t.Run("by number, from any first one", func(t *testing.T) {
		c := start(t, &bvtest.Options{Parts: 3, FirstNumber: 7})
		u := c.open(3)
		require.Len(t, u.UploadData.Parts, 3)
		require.Equal(t, "9", string(u.UploadData.Parts[2].Number))
		require.Equal(t, `"3"`, string(u.File.Size))
	})
	t.Run("oddly", func(t *testing.T) {
		c := start(t, &bvtest.Options{Numbers: func(int64) []int { return []int{4, 4} }})
		u := c.open(3)
		require.Equal(t, "4", string(u.UploadData.Parts[0].Number))
		require.Equal(t, "4", string(u.UploadData.Parts[1].Number))
	})
	t.Run("with upload_data inside file", func(t *testing.T) {
		c := start(t, &bvtest.Options{NestUploadData: true})
		u := c.open(3)
		require.Nil(t, u.UploadData)
		require.Len(t, u.File.UploadData.Parts, 1)
	})
	t.Run("with the other form of integers", func(t *testing.T) {
		c := start(t, &bvtest.Options{SwapInt64: true})
		u := c.open(3)
		require.Equal(t, "3", string(u.File.Size))
		require.Equal(t, `"0"`, string(u.UploadData.Parts[0].Number))
	})
}

func TestPartsMayArriveInAnyOrderAndAgain(t *testing.T) {
	c := start(t, &bvtest.Options{Parts: 2})
	first, last := bytes.Repeat([]byte("a"), 5*mebi), []byte("tail")
	u := c.open(len(first) + len(last))
	etags := make([]string, 2)
	etags[1] = c.put(u.UploadData.Parts[1].URL, last).header.Get("ETag")
	c.put(u.UploadData.Parts[0].URL, []byte("not this"))
	etags[0] = c.put(u.UploadData.Parts[0].URL, first).header.Get("ETag")

	whole := append(first, last...)
	a := c.complete(u, u.completion(t, etags, whole))
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	content, _ := c.server.Content(u.File.ID)
	require.Equal(t, whole, content)

	sessions := c.server.Sessions()
	require.Len(t, sessions, 1)
	require.Equal(t, bvtest.Completed, sessions[0].State)
	require.Equal(t, []bvtest.StoredPart{{Number: 0, Size: 5 * mebi, ETag: etags[0]}, {Number: 1, Size: 4, ETag: etags[1]}},
		sessions[0].Parts)
	require.NoError(t, c.server.Check())
}

func TestCompleteVerifiesTheParts(t *testing.T) {
	for name, c := range map[string]struct {
		declared int
		parts    [2][]byte
		change   func(data map[string]any)
	}{
		"another upload id": {
			5*mebi + 1, wholeParts(), func(d map[string]any) { d["id"] = "other" },
		},
		"a part left out": {
			5*mebi + 1, wholeParts(), func(d map[string]any) { d["parts"] = d["parts"].([]map[string]any)[:1] },
		},
		"another part number": {5*mebi + 1, wholeParts(), func(d map[string]any) {
			d["parts"].([]map[string]any)[1]["part_number"] = 2
		}},
		"another order": {5*mebi + 1, wholeParts(), func(d map[string]any) {
			p := d["parts"].([]map[string]any)
			p[0], p[1] = p[1], p[0]
		}},
		"an ETag without its quotes": {5*mebi + 1, wholeParts(), func(d map[string]any) {
			p := d["parts"].([]map[string]any)[0]
			p["etag"] = strings.Trim(p["etag"].(string), `"`)
		}},
		"a checksum in hexadecimal": {5*mebi + 1, wholeParts(), func(d map[string]any) {
			d["checksum_sha1"] = "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"
		}},
		"the checksum of other content": {5*mebi + 1, wholeParts(), func(d map[string]any) {
			d["checksum_sha1"] = "Kq5sNclPz7QV2+lfQIuc6R7oRu0="
		}},
		"a part that did not arrive": {5 * mebi, [2][]byte{make([]byte, 5*mebi)}, func(map[string]any) {}},
		"fewer bytes than declared":  {5*mebi + 2, wholeParts(), func(map[string]any) {}},
		"more bytes than declared":   {5 * mebi, wholeParts(), func(map[string]any) {}},
		"a first part that is short": {3, [2][]byte{[]byte("ab"), []byte("c")}, func(map[string]any) {}},
		"an unknown field":           {5*mebi + 1, wholeParts(), func(d map[string]any) { d["etag"] = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			cl := start(t, &bvtest.Options{Parts: 2})
			u := cl.open(c.declared)
			etags := make([]string, 2)
			for i, part := range c.parts {
				if part != nil {
					etags[i] = cl.put(u.UploadData.Parts[i].URL, part).header.Get("ETag")
				}
			}
			request := u.completion(t, etags, append(append([]byte(nil), c.parts[0]...), c.parts[1]...))
			c.change(request["complete_data"].(map[string]any))
			a := cl.complete(u, request)
			require.Equal(t, http.StatusBadRequest, a.status, "%s", a.body)
			require.Equal(t, 3, a.code(t))
			require.Equal(t, bvtest.Open, cl.server.Sessions()[0].State, "a refusal leaves the session open")
			_, ok := cl.server.Content(u.File.ID)
			require.False(t, ok)
		})
	}
}

func wholeParts() [2][]byte {
	return [2][]byte{make([]byte, 5*mebi), make([]byte, 1)}
}

func TestCancelEndsTheSession(t *testing.T) {
	c := start(t, nil)
	u := c.open(1)
	a := c.call("/"+u.File.ID+":cancel-upload", `{"upload_id":"other"}`)
	require.Equal(t, 3, a.code(t), "both ids are needed")

	a = c.cancel(u)
	require.Equal(t, http.StatusOK, a.status)
	require.JSONEq(t, "{}", string(a.body))
	require.Equal(t, bvtest.Cancelled, c.server.Sessions()[0].State)
	require.NoError(t, c.server.Check())

	a = c.cancel(u)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, 5, a.code(t))
	require.NoError(t, c.server.Check(), "a repeat is no offence")
}

func TestDownloadServesOnlyFinishedFiles(t *testing.T) {
	c := start(t, nil)
	u := c.open(5)
	require.Equal(t, 5, c.call("/"+u.File.ID+":download", "{}").code(t))
	etag := c.put(u.UploadData.Parts[0].URL, []byte("whole")).header.Get("ETag")
	require.Equal(t, http.StatusOK, c.complete(u, u.completion(t, []string{etag}, []byte("whole"))).status)

	url := c.downloadURL(u)
	require.Equal(t, "whole", string(c.send(http.MethodGet, url, nil).body))
	c.server.Advance(time.Hour)
	require.Equal(t, http.StatusForbidden, c.send(http.MethodGet, url, nil).status)
}
