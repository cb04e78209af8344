package bvtest_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/pipenet"
)

// client sends what it is told to, right or wrong.
type client struct {
	t         *testing.T
	server    *bvtest.Server
	transport http.RoundTripper
}

// start serves until the test ends. Check is the test's own to call.
func start(t *testing.T, opts *bvtest.Options) client {
	server, err := bvtest.Start(opts)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return client{t, server, http.DefaultTransport}
}

// inBubble runs the test in virtual time, over a network in memory.
func inBubble(t *testing.T, opts bvtest.Options, run func(c client)) {
	synctest.Test(t, func(t *testing.T) {
		var network pipenet.Network
		if opts.Listen == nil {
			opts.Listen = network.Listen
		}
		server, err := bvtest.Start(&opts)
		require.NoError(t, err)
		defer server.Close()
		transport := &http.Transport{DialContext: network.Dial}
		defer transport.CloseIdleConnections()
		run(client{t, server, transport})
	})
}

// inject scripts faults.
func (c client) inject(faults ...bvtest.Fault) {
	require.NoError(c.t, c.server.Inject(faults...))
}

// answer is what came back. Status 0 means that the connection was dropped.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// code is the gRPC code of an error.
func (a answer) code(t *testing.T) int {
	var e struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details"`
	}
	require.NoError(t, json.Unmarshal(a.body, &e), "%s", a.body)
	require.NotEmpty(t, e.Message)
	require.NotNil(t, e.Details)
	return e.Code
}

// send sends a request with the headers, which come in pairs.
func (c client) send(method, url string, body []byte, headers ...string) answer {
	return c.sendUntil(c.t.Context(), method, url, body, headers...)
}

// sendUntil is send by a client that hangs up when ctx ends.
func (c client) sendUntil(ctx context.Context, method, url string, body []byte, headers ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	require.NoError(c.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got, err}
}

// call posts to the API with the right headers.
func (c client) call(path, body string) answer {
	return c.send(http.MethodPost, c.server.URL()+"/bv/cms/v1/library/files"+path, []byte(body),
		"Authorization", "Bearer "+c.server.Token(), "X-Bv-Org-Id", c.server.OrgID(), "Content-Type", "application/json")
}

// put sends a part.
func (c client) put(url string, body []byte) answer {
	return c.send(http.MethodPut, url, body, "Content-Type", "application/octet-stream")
}

// upload is a session as the client sees it.
type upload struct {
	File struct {
		ID         string
		Size       json.RawMessage
		UploadData *uploadData `json:"upload_data"`
	}
	UploadData *uploadData `json:"upload_data"`
}

type uploadData struct {
	ID    string
	Parts []struct {
		Number json.RawMessage `json:"part_number"`
		URL    string          `json:"presigned_url"`
	}
}

// open opens a session for that many bytes.
func (c client) open(size int) upload {
	a := c.call(":upload", string(mustJSON(c.t, map[string]any{"file": map[string]any{
		"source": "FILE_SOURCE_UPLOAD_IN_LIBRARY", "name": "talk.mp4", "size": size,
	}})))
	require.Equal(c.t, http.StatusOK, a.status, "%s", a.body)
	var u upload
	require.NoError(c.t, json.Unmarshal(a.body, &u))
	return u
}

// completion is the request that completes the session with those parts.
func (u upload) completion(t *testing.T, etags []string, content []byte) map[string]any {
	sum := sha1.Sum(content)
	parts := []map[string]any{}
	for i, etag := range etags {
		parts = append(parts, map[string]any{"part_number": u.UploadData.Parts[i].Number, "etag": etag})
	}
	return map[string]any{"complete_data": map[string]any{
		"id": u.UploadData.ID, "checksum_sha1": base64.StdEncoding.EncodeToString(sum[:]), "parts": parts,
	}}
}

func (c client) complete(u upload, request any) answer {
	return c.call("/"+u.File.ID+":complete-upload", string(mustJSON(c.t, request)))
}

func (c client) cancel(u upload) answer {
	return c.call("/"+u.File.ID+":cancel-upload", `{"upload_id":"`+u.UploadData.ID+`"}`)
}

// downloadURL is where the completed file can be read.
func (c client) downloadURL(u upload) string {
	a := c.call("/"+u.File.ID+":download", "{}")
	require.Equal(c.t, http.StatusOK, a.status, "%s", a.body)
	var d struct {
		URI string `json:"download_uri"`
	}
	require.NoError(c.t, json.Unmarshal(a.body, &d))
	return d.URI
}

func mustJSON(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
