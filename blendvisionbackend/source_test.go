package blendvisionbackend_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// stored uploads the content and returns the id of the file.
func (w world) stored(content []byte) string {
	w.Helper()
	f, receipts, whole := w.ready(content)
	file, err := f.Finish(w.Context(), receipts, whole)
	require.NoError(w, err)
	return file.ID
}

// download reads a file whole.
func (w world) download(id string) ([]byte, error) {
	w.Helper()
	var content bytes.Buffer
	_, err := sluice.Download(w.Context(), w.backend, id, &content, &sluice.ReadOptions{RangeSize: 2 * mebi})
	return content.Bytes(), err
}

func TestDownload_RestoresWhatWasUploaded(t *testing.T) {
	inWorld(t, nil, func(w world) {
		for _, n := range []int{1, 6 * mebi} {
			content := bytes.Repeat([]byte("x"), n)
			id := w.stored(content)
			time.Sleep(time.Hour)
			f, err := w.backend.Stat(w.Context(), id)
			require.NoError(w, err)
			require.NotEmpty(w, f.ETag)
			require.Equal(w, sluice.StoredFile{
				File: sluice.File{ID: id, Name: id, Size: int64(n)}, ETag: f.ETag, Modified: f.Modified,
			}, f)
			require.WithinDuration(w, time.Now().Add(-time.Hour), f.Modified, time.Second)
			got, err := w.download(id)
			require.NoError(w, err)
			require.True(w, bytes.Equal(content, got))
		}
		require.NoError(w, w.server.Check(), "the credentials go to the API alone")
	})
}

// URLs end and connections break while a slow caller reads.
func TestReadRange_ResumesWhereItBroke(t *testing.T) {
	inWorld(t, &bvtest.Options{URLLife: time.Minute}, func(w world) {
		content := make([]byte, mebi)
		for i := range content {
			content[i] = byte(i >> 8)
		}
		id := w.stored(content)
		f, err := w.backend.Stat(w.Context(), id)
		require.NoError(w, err)
		w.inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Truncate}, bvtest.Fault{Call: bvtest.CallGet},
			bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Drop}, bvtest.Fault{Call: bvtest.CallDownload, Skip: 3},
			bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Stall}, bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Garbage})
		w.server.Advance(time.Hour)
		r := sluice.NewRange(0, mebi)
		require.NoError(w, w.backend.ReadRange(w.Context(), f, r))
		require.True(w, bytes.Equal(content, r.Bytes()))
		require.NoError(w, w.server.Check())
	})
}

func TestStat_OfAFileThatIsNotThere(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f := w.start(10)
		unfinished, _, _ := strings.Cut(f.Info().ID, "/")
		for _, id := range []string{"nothing", unfinished} {
			_, err := w.backend.Stat(w.Context(), id)
			require.ErrorIs(w, err, fs.ErrNotExist)
			require.ErrorContains(w, err, id)
			err = w.backend.ReadRange(w.Context(), sluice.StoredFile{File: sluice.File{ID: id, Size: 1}}, sluice.NewRange(0, 1))
			require.ErrorIs(w, err, fs.ErrNotExist)
		}
		_, err := w.backend.Stat(w.Context(), "")
		require.ErrorContains(w, err, "file id is empty")
		require.NoError(w, f.Cancel(w.Context()))
	})
}

func TestReadRange_GivesUpIfEveryAttemptStalls(t *testing.T) {
	inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 3}}, func(w world) {
		id := w.stored([]byte("content"))
		w.inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Stall, Count: -1})
		_, err := w.download(id)
		require.ErrorIs(w, err, retry.ErrStalled)
	})
}

func TestList_IsUnsupported(t *testing.T) {
	for _, err := range newOffline(t).List(t.Context(), "") {
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
}

// An answer about other bytes is never taken, and no error shows what must not be seen.
func TestReadRange_TakesNoOtherBytesAndShowsNoSecret(t *testing.T) {
	const token, signature = "CANARY-TOKEN-1", "CANARY-SIGNATURE"
	respond := func(status int, body string, header ...string) *http.Response {
		h := make(http.Header)
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
	}
	gone := respond(404, "<Error><Code>NoSuchKey</Code></Error>")
	for want, c := range map[string]struct {
		uri   string
		again *http.Response // to the second request for bytes
		match error
	}{
		"its ETag is":              {again: respond(206, "56789", "ETag", `"b"`, "Content-Range", "bytes 5-9/10")},
		`its ETag is "", not`:      {again: respond(206, "56789", "Content-Range", "bytes 5-9/10")},
		"status 200, not 206":      {again: respond(200, "0123456789", "ETag", `"a"`)},
		"PreconditionFailed":       {again: respond(412, "<Error><Code>PreconditionFailed</Code><Message>"+signature+"</Message></Error>"), match: sluice.ErrReplaced},
		"NoSuchKey":                {again: gone, match: fs.ErrNotExist},
		"plain http would show":    {uri: "http://objects.example/a"},
		"carries a user":           {uri: "https://user@objects.example/a"},
		"is not a URL with":        {uri: "nothing"},
		"the range \"[redacted]\"": {again: respond(206, "56789", "ETag", `"a"`, "Content-Range", signature)},
	} {
		t.Run(want, func(t *testing.T) {
			if c.uri == "" {
				c.uri = "https://objects.example/a?signature=" + signature
			}
			gets := 0
			b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials(token, "org"), &blendvisionbackend.Options{
				Endpoint: "https://api.example", Retry: sluice.Retry{Attempts: 1},
				Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost {
						return respond(200, fmt.Sprintf(`{"id": "f", "download_uri": %q}`, c.uri)), nil
					}
					require.Empty(t, r.Header.Get("Authorization"))
					require.Equal(t, `"a"`, r.Header.Get("If-Match"))
					if gets++; gets == 1 {
						resp := respond(206, "0123456789", "ETag", `"a"`, "Content-Range", "bytes 0-9/10")
						resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("01234"), iotest.ErrReader(fmt.Errorf("broken at %s", c.uri))))
						return resp, nil
					}
					require.Equal(t, "bytes=5-9", r.Header.Get("Range"))
					return c.again, nil
				}),
			})
			require.NoError(t, err)
			r := sluice.NewRange(0, 10)
			f := sluice.StoredFile{File: sluice.File{ID: "f", Name: "f", Size: 10}, ETag: `"a"`}
			err = b.ReadRange(t.Context(), f, r)
			require.ErrorContains(t, err, want)
			if c.match != nil {
				require.ErrorIs(t, err, c.match)
			}
			require.Contains(t, []string{"", "01234"}, string(r.Bytes()))
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "CANARY")
		})
	}
}

func TestReads_TellTheLastFailureWhenTheirContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := over(t, func(*http.Request) (*http.Response, error) { return ownError(503, 14), nil })
		f := sluice.StoredFile{File: sluice.File{ID: "id", Name: "id", Size: 4}, ETag: `"t"`}
		hostile.RequireLastFailure(t, b, f, false)
	})
}
