package b2test_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// recording is one entry of testdata/exchanges.json; its README says where they come from.
type recording struct {
	Call    string
	Request struct {
		Method, Host, Path, Text string
		Headers                  map[string]string
		JSON                     fields
		Content                  struct {
			Byte  string
			Times int
		}
	}
	Response struct {
		Status  int
		Headers map[string]string
		JSON    any
	}
}

const (
	recordedBucket = "8d625eb63be2775577c70e1a"
	recordedSource = "4_z8d625eb63be2775577c70e1a_f111954e3108ff3f6_d20211118_m151810_c002_v0001168_t0010"
	maskedAccount  = "ACCOUNT-0000"
)

var maskedToken = strings.Repeat("T", 77)

// replay drives a server through the recordings. What the server makes up is
// mapped to what was recorded.
type replay struct {
	t      *testing.T
	s      *b2test.Server
	now    time.Time
	ids    map[string]string // recorded file id to ours
	upload uploadURL         // given out last
}

func TestAnswersEqualTheRecordings(t *testing.T) {
	data, err := os.ReadFile("testdata/exchanges.json")
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var recordings []recording
	require.NoError(t, dec.Decode(&recordings))
	require.Len(t, recordings, 20)

	r := &replay{t: t, ids: map[string]string{}, now: time.UnixMilli(1637248690000)}
	r.s = newServer(t, &b2test.Options{Now: func() time.Time { return r.now }})
	_, err = r.s.AddBucket(b2test.Bucket{Name: "recorded", ID: recordedBucket})
	require.NoError(t, err)
	r.prepare()
	for i, rec := range recordings {
		t.Run(fmt.Sprintf("%02d_%s", i+1, rec.Call), func(t *testing.T) {
			r.t = t
			r.exchange(rec)
		})
	}
}

func (r *replay) login() *client {
	c := login(r.t, r.s)
	c.version, c.bucket = 2, recordedBucket
	return c
}

// prepare makes what was there before the recordings began: the file that is
// copied, and two unfinished large files.
func (r *replay) prepare() {
	c := r.login()
	source := c.upload("source.txt", "Some text\n", "X-Bz-Info-src_last_modified_millis", "1637248673875")
	r.ids[recordedSource] = source.str("fileId")
	for id, millis := range map[string]int64{
		"4_z8d625eb63be2775577c70e1a_f2259d1e31263ab88_d20220203_m223102_c002_v0001164_t0026": 1643927462000,
		"4_z8d625eb63be2775577c70e1a_f20503d82f4c7a386_d20220203_m223245_c002_v0001148_t0056": 1643927565000,
	} {
		r.now = time.UnixMilli(millis)
		c = r.login()
		r.ids[id] = c.must("b2_start_large_file", fields{
			"bucketId": c.bucket, "fileName": "unfinished-file.txt", "contentType": "text/plain",
		}).str("fileId")
	}
}

func (r *replay) exchange(rec recording) {
	want, _ := rec.Response.JSON.(fields)
	r.now = r.moment(rec, want)
	got := r.send(rec)
	require.Equal(r.t, rec.Response.Status, got.status, "%s", got.raw)
	require.Equal(r.t, rec.Response.Headers["content-type"], got.header.Get("Content-Type"))
	require.Equal(r.t, rec.Response.Headers["cache-control"], got.header.Get("Cache-Control"))
	require.Equal(r.t, rec.Response.Headers["connection"] == "close", got.closes)

	if id, _ := want["fileId"].(string); id != "" && r.ids[id] == "" {
		r.ids[id] = got.str("fileId")
	}
	if rec.Call == "b2_get_upload_part_url" {
		r.upload = uploadURL{got.str("uploadUrl"), got.str("authorizationToken")}
	}
	wanted, err := json.MarshalIndent(mask(want), "", "  ")
	require.NoError(r.t, err)
	text := string(wanted)
	if rec.Response.Status == 200 {
		text += "\n"
	}
	require.Equal(r.t, text, r.recorded(rec, want, string(got.raw)))
	require.Equal(r.t, rec.Response.Headers["content-length"], strconv.Itoa(len(text)), "the length on the wire")
}

// moment is when the server answered: the timestamp in the answer, else its Date.
func (r *replay) moment(rec recording, want fields) time.Time {
	if stamp, ok := want["uploadTimestamp"].(json.Number); ok && rec.Call != "b2_finish_large_file" {
		millis, err := stamp.Int64()
		require.NoError(r.t, err)
		return time.UnixMilli(millis)
	}
	date, err := http.ParseTime(rec.Response.Headers["date"])
	require.NoError(r.t, err)
	return date
}

// send sends the recorded request with our ids and tokens.
func (r *replay) send(rec recording) answer {
	c := r.login()
	h := http.Header{}
	for name, value := range rec.Request.Headers {
		h.Set(name, value)
	}
	h.Del("Content-Length")
	if rec.Call == "b2_upload_part" {
		require.Regexp(r.t, `/b2api/v2/b2_upload_part/`+regexp.QuoteMeta(r.ours(strings.Split(rec.Request.Path, "/")[4]))+`/\d{4}$`, r.upload.url)
		body := rec.Request.Text + strings.Repeat(rec.Request.Content.Byte, rec.Request.Content.Times)
		require.Equal(r.t, rec.Request.Headers["content-length"], strconv.Itoa(len(body)))
		return c.put(r.upload, reader(body), h)
	}
	body, err := json.Marshal(rec.Request.JSON)
	require.NoError(r.t, err)
	h.Set("Authorization", c.token)
	req, err := http.NewRequest(rec.Request.Method, c.api+rec.Request.Path, strings.NewReader(r.ours(string(body))))
	require.NoError(r.t, err)
	req.Header = h
	return c.do(req)
}

func (r *replay) ours(text string) string {
	for recorded, our := range r.ids {
		text = strings.ReplaceAll(text, recorded, our)
	}
	return text
}

// recorded puts recorded values in the place of those that the server made up:
// ids, account, token, host.
func (r *replay) recorded(rec recording, want fields, text string) string {
	for recorded, our := range r.ids {
		text = strings.ReplaceAll(text, our, recorded)
	}
	if r.upload.token != "" {
		require.Len(r.t, r.upload.token, len(maskedToken))
		text = strings.ReplaceAll(text, r.upload.token, maskedToken)
	}
	require.Len(r.t, r.s.AccountID(), len(maskedAccount))
	text = strings.ReplaceAll(text, r.s.AccountID(), maskedAccount)
	switch rec.Call {
	case "b2_get_upload_part_url":
		u := r.upload.url
		for recorded, our := range r.ids {
			u = strings.ReplaceAll(u, our, recorded)
		}
		text = strings.ReplaceAll(text, u, want["uploadUrl"].(string))
	case "b2_list_parts":
		// The recorded uploads took many seconds; here they begin when they are
		// answered. Both are whole seconds.
		for i, begun := range []string{"1643927806000", "1643927827000"} {
			part := regexp.MustCompile(fmt.Sprintf(`("partNumber": %d,[^}]*},\s*"uploadTimestamp": )\d{10}000`, i+1))
			text = part.ReplaceAllString(text, "${1}"+begun)
		}
	}
	return text
}

// mask gives account and token the lengths they have on the wire.
func mask(v any) any {
	switch v := v.(type) {
	case fields:
		out := fields{}
		for key, value := range v {
			out[key] = mask(value)
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, mask(item))
		}
		return out
	case string:
		switch v {
		case "ACCOUNT":
			return maskedAccount
		case "TOKEN":
			return maskedToken
		}
	}
	return v
}
