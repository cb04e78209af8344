package b2test_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

type fields = map[string]any

// newServer starts a server that ends with the test.
func newServer(t *testing.T, opts *b2test.Options) *b2test.Server {
	s := b2test.NewServer(opts)
	t.Cleanup(s.Close)
	return s
}

// small are options under which parts of 10 bytes will do.
func small() *b2test.Options { return &b2test.Options{MinPartSize: 10, RecommendedPartSize: 20} }

// answer is what came back, status 0 when the connection broke.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   fields
	closes bool // it said Connection: close
}

func (a answer) str(key string) string { s, _ := a.body[key].(string); return s }

// client calls a server with no cleverness at all.
type client struct {
	t       *testing.T
	s       *b2test.Server
	http    *http.Client
	version int
	token   string
	api     string
	down    string
	bucket  string      // id
	header  http.Header // added to every request
}

// login logs in with the key made at start.
func login(t *testing.T, s *b2test.Server) *client {
	return loginAs(t, s, b2test.Key{ID: s.KeyID(), Secret: s.Key()})
}

func loginAs(t *testing.T, s *b2test.Server, k b2test.Key) *client {
	c := &client{t: t, s: s, version: 4, http: &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}}
	t.Cleanup(c.http.CloseIdleConnections)
	a := c.authorize(4, k)
	require.Equal(t, 200, a.status, "%s", a.raw)
	c.token = a.str("authorizationToken")
	storage := a.body["apiInfo"].(fields)["storageApi"].(fields)
	c.api, c.down = storage["apiUrl"].(string), storage["downloadUrl"].(string)
	c.bucket = s.BucketID()
	return c
}

func (c *client) authorize(version int, k b2test.Key) answer {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/b2api/v%d/b2_authorize_account", c.s.URL(), version), nil)
	require.NoError(c.t, err)
	req.SetBasicAuth(k.ID, k.Secret)
	return c.do(req)
}

func (c *client) do(req *http.Request) answer {
	maps.Copy(req.Header, c.header)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, raw: raw, closes: resp.Close}
	if err != nil {
		return answer{raw: raw}
	}
	_ = json.Unmarshal(raw, &a.body) // downloads and gateways send other things
	return a
}

// call posts a JSON call.
func (c *client) call(name string, in fields) answer {
	body, err := json.Marshal(in)
	require.NoError(c.t, err)
	return c.post(fmt.Sprintf("%s/b2api/v%d/%s", c.api, c.version, name), string(body))
}

func (c *client) post(url, body string) answer {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", c.token)
	return c.do(req)
}

// get calls with a query.
func (c *client) get(name, query string) answer {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/b2api/v%d/%s?%s", c.api, c.version, name, query), nil)
	require.NoError(c.t, err)
	req.Header.Set("Authorization", c.token)
	return c.do(req)
}

// must is call for what has to succeed.
func (c *client) must(name string, in fields) answer {
	c.t.Helper()
	a := c.call(name, in)
	require.Equal(c.t, 200, a.status, "%s: %s", name, a.raw)
	return a
}

// refused is call for what has to be refused in these words.
func (c *client) refused(name string, in fields, status int, code, message string) {
	c.t.Helper()
	requireError(c.t, c.call(name, in), status, code, message)
}

func requireError(t *testing.T, a answer, status int, code, message string) {
	t.Helper()
	require.Equal(t, fields{"status": float64(status), "code": code, "message": message}, a.body, "%d %s", a.status, a.raw)
	require.Equal(t, status, a.status)
}

// uploadURL is an upload URL and its token.
type uploadURL struct{ url, token string }

func (c *client) fileURL() uploadURL {
	c.t.Helper()
	a := c.must("b2_get_upload_url", fields{"bucketId": c.bucket})
	return uploadURL{a.str("uploadUrl"), a.str("authorizationToken")}
}

func (c *client) partURL(id string) uploadURL {
	c.t.Helper()
	a := c.must("b2_get_upload_part_url", fields{"fileId": id})
	return uploadURL{a.str("uploadUrl"), a.str("authorizationToken")}
}

func sum(s string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(s))) }

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// put uploads body with the given headers added, which replace those of its
// own; an empty value removes.
func (c *client) put(u uploadURL, body io.Reader, h http.Header) answer {
	req, err := http.NewRequest(http.MethodPost, u.url, body)
	require.NoError(c.t, err)
	req.Header.Set("Authorization", u.token)
	for name, values := range h {
		req.Header[name] = values
		if values[0] == "" {
			delete(req.Header, name)
		}
	}
	return c.do(req)
}

func (c *client) uploadTo(u uploadURL, name, body string, more ...string) answer {
	h := headers("X-Bz-File-Name", strings.ReplaceAll(name, " ", "%20"), "Content-Type", "text/plain", "X-Bz-Content-Sha1", sum(body))
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return c.put(u, reader(body), h)
}

// reader gives net/http a length of 0, too.
func reader(body string) io.Reader {
	if body == "" {
		return http.NoBody
	}
	return bytes.NewReader([]byte(body))
}

// upload stores a small file and returns its id.
func (c *client) upload(name, body string, more ...string) answer {
	c.t.Helper()
	a := c.uploadTo(c.fileURL(), name, body, more...)
	require.Equal(c.t, 200, a.status, "%s", a.raw)
	return a
}

// start starts a large file and returns its id.
func (c *client) start(name string) string {
	c.t.Helper()
	return c.must("b2_start_large_file", fields{
		"bucketId": c.bucket, "fileName": name, "contentType": "b2/x-auto",
	}).str("fileId")
}

func (c *client) partTo(u uploadURL, number int, body string, more ...string) answer {
	h := headers("X-Bz-Part-Number", strconv.Itoa(number), "X-Bz-Content-Sha1", sum(body))
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return c.put(u, reader(body), h)
}

// parts uploads parts 1, 2, … of a large file and returns their digests.
func (c *client) parts(id string, bodies ...string) []string {
	c.t.Helper()
	u := c.partURL(id)
	var digests []string
	for i, body := range bodies {
		a := c.partTo(u, i+1, body)
		require.Equal(c.t, 200, a.status, "%s", a.raw)
		digests = append(digests, sum(body))
	}
	return digests
}

func (c *client) finish(id string, digests []string) answer {
	return c.call("b2_finish_large_file", fields{"fileId": id, "partSha1Array": digests})
}

func (c *client) cancel(id string) {
	c.t.Helper()
	c.must("b2_cancel_large_file", fields{"fileId": id})
}

// large makes a large file of parts and returns its id.
func (c *client) large(name string, bodies ...string) string {
	c.t.Helper()
	id := c.start(name)
	a := c.finish(id, c.parts(id, bodies...))
	require.Equal(c.t, 200, a.status, "%s", a.raw)
	return id
}

func (c *client) download(method, path string, more ...string) answer {
	req, err := http.NewRequest(method, c.down+path, nil)
	require.NoError(c.t, err)
	req.Header.Set("Authorization", c.token)
	for i := 0; i < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	return c.do(req)
}

func content(t *testing.T, s *b2test.Server, name string) string {
	t.Helper()
	f, err := s.File(s.Bucket(), name)
	require.NoError(t, err)
	b, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	return string(b)
}

// waitFor spins until the server has come to where the test wants it, or the
// test binary's own deadline ends it.
func waitFor(t *testing.T, done func() bool) {
	for !done() {
		require.NoError(t, t.Context().Err())
		runtime.Gosched()
	}
}
