package b2backend_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
)

// These tests hold the client to twenty recorded exchanges with the real
// service (b2test/testdata/README.md): what it asks equals what was asked then,
// and it understands what was answered. The recordings are of version 2 of the
// API, so the version in the path is not compared.

// recorded is one exchange.
type recorded struct {
	Call    string
	Request struct {
		Method, Host, Path string
		Headers            map[string]string
		JSON               map[string]any
	}
	Response struct {
		Status  int
		Headers map[string]string
		JSON    map[string]any
	}
}

const (
	recordedBucket = "8d625eb63be2775577c70e1a"
	recordedSource = "4_z8d625eb63be2775577c70e1a_f111954e3108ff3f6_d20211118_m151810_c002_v0001168_t0010"
)

// script answers requests with the recorded answers of the exchanges that it is
// given by number, and fails the test where a request is not the recorded one.
type script struct {
	t    *testing.T
	left []recorded
}

// Keys that may differ from the recordings: how long a page is, and what the
// recorder's client left to the service.
var free = map[string]bool{"maxPartCount": true, "maxFileCount": true, "destinationBucketId": true}

func newScript(t *testing.T, numbers ...int) (*b2backend.Backend, *script) {
	data, err := os.ReadFile("b2test/testdata/exchanges.json")
	require.NoError(t, err)
	var all []recorded
	require.NoError(t, json.Unmarshal(data, &all))
	require.Len(t, all, 20)
	s := &script{t: t}
	for _, n := range numbers {
		s.left = append(s.left, all[n-1])
	}
	b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "secret"), "bucket", &b2backend.Options{
		Transport: s, Endpoint: "https://api.backblazeb2.com",
	})
	require.NoError(t, err)
	return b.With(b2backend.FileOptions{OmitSluiceID: true}), s
}

// done fails unless every exchange has taken place.
func (s *script) done() { require.Empty(s.t, s.left) }

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/b2_authorize_account") {
		return s.answer(200, nil, loggedIn), nil
	}
	require.NotEmpty(s.t, s.left, "%s was not expected", r.URL.Path)
	x := s.left[0]
	s.left = s.left[1:]
	require.Equal(s.t, x.Request.Method, r.Method)
	require.Equal(s.t, withoutVersion(x.Request.Path), withoutVersion(r.URL.Path))
	require.Equal(s.t, x.Request.Host, r.URL.Host)
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, r.Body.Close())
	if x.Request.JSON != nil {
		s.compareJSON(x, body)
	} else {
		require.EqualValues(s.t, len(body), r.ContentLength)
		for name, want := range x.Request.Headers {
			switch name {
			case "content-length":
				require.Equal(s.t, want, fmt.Sprint(r.ContentLength))
			case "content-type": // of a part; the service does not need it
			default:
				require.Equal(s.t, want, r.Header.Get(name), name)
			}
		}
	}
	data, err := json.Marshal(x.Response.JSON)
	require.NoError(s.t, err)
	return s.answer(x.Response.Status, x.Response.Headers, string(data)), nil
}

// compareJSON holds the body to the recorded one: a null of theirs is the same
// as nothing.
func (s *script) compareJSON(x recorded, body []byte) {
	var ours map[string]any
	require.NoError(s.t, json.Unmarshal(body, &ours))
	theirs := map[string]any{}
	for key, value := range x.Request.JSON {
		if value != nil && !free[key] {
			theirs[key] = value
		}
	}
	for key := range ours {
		if free[key] || ours[key] == nil || ours[key] == "" && theirs[key] == nil {
			delete(ours, key)
		}
	}
	require.Equal(s.t, theirs, ours, x.Call)
}

func (s *script) answer(status int, headers map[string]string, body string) *http.Response {
	h := http.Header{}
	for name, value := range headers {
		h.Set(name, value)
	}
	h.Del("Content-Length")
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func withoutVersion(path string) string {
	return strings.NewReplacer("/b2api/v2/", "/b2api/", "/b2api/v4/", "/b2api/").Replace(path)
}

// loggedIn is an answer of version 4 to b2_authorize_account, for a key of that
// one bucket.
const loggedIn = `{
  "accountId": "ACCOUNT", "authorizationToken": "TOKEN", "applicationKeyExpirationTimestamp": null,
  "apiInfo": {"storageApi": {
    "apiUrl": "https://api002.backblazeb2.com", "downloadUrl": "https://f002.backblazeb2.com", "s3ApiUrl": "https://s3.us-west-002.backblazeb2.com",
    "absoluteMinimumPartSize": 5000000, "recommendedPartSize": 100000000,
    "allowed": {"buckets": [{"id": "` + recordedBucket + `", "name": "bucket"}], "namePrefix": null,
      "capabilities": ["listBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles"]}}}}`

func recordedParts() []*sluice.Part {
	return []*sluice.Part{part(1, bytes.Repeat([]byte("a"), 5<<20)), part(2, []byte("bcd"))}
}

func TestAStartAndItsCancelAreTheRecordedOnes(t *testing.T) {
	b, s := newScript(t, 1, 2)
	large, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "test-large-file", Size: sluice.UnknownSize})
	require.NoError(t, err)
	require.Equal(t, "4_z8d625eb63be2775577c70e1a_f204261ca2ea2c4e1_d20211112_m211109_c002_v0001114_t0054", large.Info().ID)
	require.NoError(t, large.Cancel(t.Context()))
	s.done()
}

func TestACancelOfABadIDIsUnderstoodAsRecorded(t *testing.T) {
	b, s := newScript(t, 1, 3)
	s.left[0].Response.JSON["fileId"] = "bad-id" // so that the client has that to cancel
	large, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "test-large-file", Size: sluice.UnknownSize})
	require.NoError(t, err)
	err = large.Cancel(t.Context())
	var e *b2backend.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, b2backend.Error{Call: "b2_cancel_large_file", Status: 400, Code: "bad_request", Message: "Invalid fileId: bad-id"}, *e)
	s.done()
}

func TestACopyIsTheRecordedOne(t *testing.T) {
	b, s := newScript(t, 4)
	f, err := b.CopyFile(t.Context(), sluice.FileSpec{Name: "new-file.txt", Size: sluice.UnknownSize}, b2backend.CopySource{FileID: recordedSource})
	require.NoError(t, err)
	require.Equal(t, "new-file.txt", f.Name)
	require.EqualValues(t, 10, f.Size)
	s.done()
}

func TestALargeFileIsTheRecordedOne(t *testing.T) {
	b, s := newScript(t, 5, 6, 7, 8, 9)
	large, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "Test-large-file.txt", Size: sluice.UnknownSize, ContentType: "text/plain"})
	require.NoError(t, err)
	var receipts []sluice.Receipt
	for _, p := range recordedParts() {
		r, err := large.UploadPart(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, p.Size, r.Size)
		require.Equal(t, p.Digests, r.Digests)
		receipts = append(receipts, r)
	}
	f, err := large.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	require.Equal(t, large.Info().ID, f.ID)
	require.EqualValues(t, 5242883, f.Size)
	require.NoError(t, large.Cancel(t.Context()), "after a finish nothing is sent")
	s.done()
}

func TestCopiedPartsAreTheRecordedOnes(t *testing.T) {
	b, s := newScript(t, 10, 11, 12, 13)
	large, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "Test-large-file2.txt", Size: sluice.UnknownSize, ContentType: "text/plain"})
	require.NoError(t, err)
	file := large.(*b2backend.LargeFile)
	r, err := file.CopyPart(t.Context(), 1, b2backend.CopySource{FileID: recordedSource})
	require.NoError(t, err)
	require.EqualValues(t, 10, r.Size)
	r, err = file.CopyPart(t.Context(), 2, b2backend.CopySource{FileID: recordedSource, Offset: 0, Length: 4})
	require.NoError(t, err)
	require.EqualValues(t, 4, r.Size)
	require.Equal(t, "00b2aad45d07b70e1b7eefea74316913901b6e42", fmt.Sprintf("%x", r.Digests.Get("sha1")))
	require.NoError(t, large.Cancel(t.Context()))
	s.done()
}

func TestListedPartsAreTheRecordedOnes(t *testing.T) {
	b, s := newScript(t, 14, 15, 16, 17)
	spec := sluice.FileSpec{Name: "unfinished-file.txt", Size: sluice.UnknownSize, ContentType: "text/plain"}
	large, err := b.StartLargeFile(t.Context(), spec)
	require.NoError(t, err)
	var uploaded []sluice.Receipt
	for _, p := range recordedParts() {
		r, err := large.UploadPart(t.Context(), p)
		require.NoError(t, err)
		uploaded = append(uploaded, r)
	}
	s.done()

	b, s = newScript(t, 20, 18, 19)
	// The recorded list is of the whole bucket, and was made when this file was
	// cancelled already: put it there.
	s.left[0].Request.JSON["namePrefix"] = spec.Name
	s.left[0].Response.JSON["files"].([]any)[1].(map[string]any)["fileId"] = large.Info().ID
	resumed, err := b.ResumeLargeFile(t.Context(), spec, large.Info().ID)
	require.NoError(t, err)
	require.Equal(t, uploaded, resumed.Info().Stored, "whatever their timestamps say")
	require.NoError(t, resumed.Cancel(t.Context()))
	s.done()
}

func TestUnfinishedFilesAreTheRecordedOnes(t *testing.T) {
	b, s := newScript(t, 20)
	var ids []string
	for f, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		require.Equal(t, "unfinished-file.txt", f.Spec.Name)
		ids = append(ids, f.ID)
	}
	require.Equal(t, []string{
		"4_z8d625eb63be2775577c70e1a_f2259d1e31263ab88_d20220203_m223102_c002_v0001164_t0026",
		"4_z8d625eb63be2775577c70e1a_f20503d82f4c7a386_d20220203_m223245_c002_v0001148_t0056",
	}, ids)
	s.done()
}
