package blendvisionbackend_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/retry"
)

// stored uploads the content and returns the id of the file.
func (w world) stored(content []byte) string {
	w.Helper()
	f, receipts, whole := w.ready(content)
	file, err := f.Finish(w.Context(), receipts, whole)
	require.NoError(w, err)
	return file.ID
}

// open opens a file for reading.
func (w world) open(id string) *blendvisionbackend.Download {
	w.Helper()
	d, err := w.backend.Open(w.Context(), id)
	require.NoError(w, err)
	return d
}

func TestADownloadIsTheFile(t *testing.T) {
	inWorld(t, nil, func(w world) {
		for _, n := range []int{1, 6 * mebi} {
			content := bytes.Repeat([]byte("x"), n)
			id := w.stored(content)
			d := w.open(id)
			require.Equal(w, id, d.ID)
			require.Equal(w, "talk.mp4", d.Name)
			require.EqualValues(w, n, d.Size)
			got, err := io.ReadAll(d)
			require.NoError(w, err)
			require.True(w, bytes.Equal(content, got))
			require.NoError(w, d.Close())
			_, err = d.Read(make([]byte, 1))
			require.Equal(w, io.EOF, err, "it was read to its end")
		}
		require.NoError(w, w.server.Check(), "the credentials go to the API alone")
	})
}

func TestABrokenDownloadGoesOnWhereItEnded(t *testing.T) {
	inWorld(t, &bvtest.Options{URLLife: time.Minute}, func(w world) {
		content := make([]byte, mebi)
		for i := range content {
			content[i] = byte(i >> 8)
		}
		id := w.stored(content)
		w.inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Truncate}, bvtest.Fault{Call: bvtest.CallGet},
			bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Drop}, bvtest.Fault{Call: bvtest.CallDownload, Skip: 3},
			bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.StallAnswer}, bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.Garbage})
		d := w.open(id)
		defer d.Close()
		w.server.Advance(time.Hour) // the URL expires: another is asked for
		got, err := io.ReadAll(d)
		require.NoError(w, err)
		require.True(w, bytes.Equal(content, got))
		require.NoError(w, w.server.Check())
	})
}

func TestAFileThatIsNotThereIsToldSo(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f := w.start(10)
		unfinished, _, _ := strings.Cut(f.Info().ID, "/")
		for _, id := range []string{"nothing", unfinished} {
			_, err := w.backend.Open(w.Context(), id)
			require.ErrorIs(w, err, fs.ErrNotExist)
			require.ErrorContains(w, err, id)
		}
		_, err := w.backend.Open(w.Context(), "")
		require.ErrorContains(w, err, "file id is empty")
		require.NoError(w, f.Cancel(w.Context()))
	})
}

func TestADownloadThatStallsIsGivenUp(t *testing.T) {
	inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 3}}, func(w world) {
		id := w.stored([]byte("content"))
		w.inject(bvtest.Fault{Call: bvtest.CallGet, Kind: bvtest.StallAnswer, Count: -1})
		_, err := w.backend.Open(w.Context(), id)
		require.ErrorIs(w, err, retry.ErrStalled)
	})
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An answer that does not go on with the same bytes is never taken, and no error shows what must not be seen.
func TestADownloadTakesNoOtherBytesAndShowsNoSecret(t *testing.T) {
	const token, signature = "CANARY-TOKEN-1", "CANARY-SIGNATURE"
	respond := func(status int, body string, header ...string) *http.Response {
		h := make(http.Header)
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
	}
	for want, c := range map[string]struct {
		uri   string
		tag   string
		again *http.Response
	}{
		"its ETag is":            {tag: `"a"`, again: respond(206, "56789", "ETag", `"b"`, "Content-Range", "bytes 5-9/10")},
		"without an ETag":        {again: respond(206, "56789", "Content-Range", "bytes 5-9/10")},
		"status 200, not 206":    {tag: `"a"`, again: respond(200, "0123456789", "ETag", `"a"`)},
		"PreconditionFailed":     {tag: `"a"`, again: respond(412, "<Error><Code>PreconditionFailed</Code><Message>"+signature+"</Message></Error>")},
		"plain http would show":  {uri: "http://objects.example/a"},
		"carries a user":         {uri: "https://user@objects.example/a"},
		"is not a URL with":      {uri: "nothing"},
		"bytes (\"[redacted]\")": {tag: `"a"`, again: respond(206, "56789", "ETag", `"a"`, "Content-Range", signature)},
	} {
		t.Run(want, func(t *testing.T) {
			if c.uri == "" {
				c.uri = "https://objects.example/a?signature=" + signature
			}
			gets := 0
			b, err := blendvisionbackend.New(blendvisionbackend.Credentials{Token: token, OrgID: "org"}, &blendvisionbackend.Options{
				Endpoint: "https://api.example", Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond},
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost {
						return respond(200, fmt.Sprintf(`{"id": "f", "download_uri": %q}`, c.uri)), nil
					}
					require.Empty(t, r.Header.Get("Authorization"))
					if gets++; gets == 1 {
						resp := respond(200, "0123456789", "ETag", c.tag)
						resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("01234"), iotest.ErrReader(fmt.Errorf("broken at %s", c.uri))))
						return resp, nil
					}
					return c.again, nil
				}),
			})
			require.NoError(t, err)
			var got []byte
			d, err := b.Open(t.Context(), "f")
			if err == nil {
				got, err = io.ReadAll(d)
				require.Equal(t, "01234", string(got))
			}
			require.ErrorContains(t, err, want)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v %v", err, err, err, d), "CANARY")
		})
	}
}
