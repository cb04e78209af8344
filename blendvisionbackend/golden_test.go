package blendvisionbackend_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/internal/vectors"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func read(t testing.TB, name string) map[string]vectors.Vector {
	byName, err := vectors.Read("testdata/" + name)
	require.NoError(t, err)
	return byName
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body)))}
}

// playing returns a backend whose requests must be those of the vectors, in
// that order, and get their answers.
func playing(t *testing.T, list ...vectors.Vector) *blendvisionbackend.Backend {
	t.Cleanup(func() { require.Empty(t, list, "requests that were not made") })
	return over(t, func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet { // the object store's, which no vector describes
			require.Equal(t, "/library/talk.mp4", r.URL.Path)
			return firstByte(int64(len("hello world"))), nil
		}
		require.NotEmpty(t, list, "a request too many: %s", r.URL.Path)
		v := list[0]
		list = list[1:]
		require.Equal(t, v.Request.Method, r.Method)
		headers := http.Header{}
		for name, value := range v.Request.Headers {
			headers.Set(name, value)
		}
		require.Equal(t, headers, r.Header, v.Name)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		if r.Method == http.MethodPut {
			var text string
			require.NoError(t, json.Unmarshal(v.Request.Body, &text))
			require.Equal(t, text, string(body))
			require.EqualValues(t, len(text), r.ContentLength)
			resp := reply(http.StatusOK, "")
			resp.Header.Set("ETag", `"5eb63bbbe01eeed093cb22bb8f5acdc3"`)
			return resp, nil
		}
		require.Equal(t, v.Request.Path, r.URL.Path)
		require.JSONEq(t, string(v.Request.Body), string(body), v.Name)
		return reply(v.Response.Status, string(v.Response.Body)), nil
	})
}

// over returns a backend with that transport.
func over(t *testing.T, transport testutil.RoundTripFunc) *blendvisionbackend.Backend {
	b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("api-token", "organization-id"),
		&blendvisionbackend.Options{Endpoint: "https://api.example", Transport: transport})
	require.NoError(t, err)
	return b
}

var documentedSpec = sluice.FileSpec{Name: "talk.mp4", Size: 123456789, Metadata: map[string]string{"k": "v"}}

func TestDocumentedOpenAndCancel(t *testing.T) {
	documented := read(t, "documented.json")
	for _, name := range []string{"open", "open, upload_data inside file", "open, part numbers from 0"} {
		t.Run(name, func(t *testing.T) {
			b := playing(t, documented[name], documented["cancel"])
			f, err := b.StartLargeFile(t.Context(), documentedSpec)
			require.NoError(t, err)
			require.Equal(t, sluice.LargeFileInfo{ID: "library-id/upload-id", PartSizes: []int64{61728395, 61728394}}, f.Info())
			require.NoError(t, f.Cancel(t.Context()))
		})
	}
}

func TestDocumentedErrors(t *testing.T) {
	documented := read(t, "documented.json")
	for name, want := range map[string]blendvisionbackend.Error{
		"invalid argument": {
			Call: "files:upload", Status: 400, Code: "INVALID_ARGUMENT", Message: "invalid argument",
			Details: []blendvisionbackend.Detail{{Type: "type.googleapis.com/google.rpc.BadRequest"}},
		},
		"unauthenticated": {Call: "files:upload", Status: 401, Code: "UNAUTHENTICATED", Message: "authorization is missing"},
		"no permission":   {Call: "files:upload", Status: 403, Code: "PERMISSION_DENIED", Message: "no permission"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := playing(t, documented[name]).StartLargeFile(t.Context(), documentedSpec)
			var got *blendvisionbackend.Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, want, *got)
		})
	}
}

// The backend's requests are the sample client's, for the same file from the same source.
func TestRequestsOfTheSampleClient(t *testing.T) {
	sample, documented := read(t, "sample-client.json"), read(t, "documented.json")
	opened := sample["open"]
	opened.Response.Status = http.StatusOK
	opened.Response.Body = json.RawMessage(openAnswer("library-id"))
	completed := sample["complete"]
	require.JSONEq(t, string(documented["complete"].Request.Body), string(completed.Request.Body), "as documented")
	completed.Response = documented["complete"].Response
	// another file
	completed.Response.Body = bytes.Replace(completed.Response.Body, []byte(`"123456789"`), []byte(`"11"`), 1)

	b := playing(t, opened, sample["put"], completed).With(blendvisionbackend.FileOptions{Source: "FILE_SOURCE_ADD_VOD"})
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "hello.mp4", Size: 11})
	require.NoError(t, err)
	content := []byte("hello world")
	receipt, err := f.UploadPart(t.Context(), sluice.NewPart(1, content, nil))
	require.NoError(t, err)
	file, err := f.Finish(t.Context(), []sluice.Receipt{receipt}, sums(content))
	require.NoError(t, err)
	require.Equal(t, "library-id", file.ID)
}

func TestDocumentedDownloadSettlesALostAnswer(t *testing.T) {
	synctest.Test(t, settleByDocumentedDownload)
}

func settleByDocumentedDownload(t *testing.T) {
	documented := read(t, "documented.json")
	opened := documented["open"]
	opened.Request.Body = json.RawMessage(
		`{"file": {"type": "FILE_TYPE_VIDEO", "source": "FILE_SOURCE_UPLOAD_IN_LIBRARY", "name": "hello.mp4", "size": "11"}}`)
	opened.Response.Body = json.RawMessage(openAnswer("library-id"))
	lost := documented["complete"]
	lost.Response.Body = json.RawMessage(`{"file": `)
	b := playing(t, opened, read(t, "sample-client.json")["put"], lost, documented["download"])
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "hello.mp4", Size: 11})
	require.NoError(t, err)
	content := []byte("hello world")
	receipt, err := f.UploadPart(t.Context(), sluice.NewPart(1, content, nil))
	require.NoError(t, err)
	_, err = f.Finish(t.Context(), []sluice.Receipt{receipt}, sums(content))
	require.NoError(t, err)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := over(t, func(r *http.Request) (*http.Response, error) {
			require.Equal(t, "api.example", r.URL.Host)
			resp := reply(http.StatusTemporaryRedirect, "")
			resp.Header.Set("Location", "https://elsewhere.example/")
			return resp, nil
		})
		_, err := b.StartLargeFile(t.Context(), documentedSpec)
		require.ErrorContains(t, err, "blendvisionbackend: files:upload: 307 Temporary Redirect")
	})
}
