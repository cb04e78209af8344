package blendvisionbackend_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// Whatever the server answers, StartLargeFile gives a plan of the declared size or an error.
func FuzzAnswerToOpen(f *testing.F) {
	documented := read(f, "documented.json")
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		answer := documented[name].Response
		f.Add(answer.Status, []byte(answer.Body))
	}
	for _, bomb := range hostile.Bombs {
		f.Add(200, []byte(bomb.Seed()))
	}
	f.Add(502, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("api-token", "organization-id"),
			&blendvisionbackend.Options{
				Endpoint: "https://api.example",
				Retry:    sluice.Retry{Attempts: 1},
				Transport: testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) {
					return reply(status, string(body)), nil
				}),
			})
		require.NoError(t, err)
		large, err := b.StartLargeFile(t.Context(), documentedSpec)
		if err != nil {
			var refused *blendvisionbackend.Error
			require.Equal(t, status != http.StatusOK, errors.As(err, &refused) && refused.Call == "files:upload")
			return
		}
		require.Equal(t, http.StatusOK, status)
		var sum int64
		for _, size := range large.Info().PartSizes {
			sum += size
		}
		require.Equal(t, documentedSpec.Size, sum)
	})
}

// Whatever one call answers, be it the API or the object store, nothing panics,
// hangs, or is taken for what it is not, and no error carries a secret or is
// endless.
func FuzzAnswers(f *testing.F) {
	for i := range hostileCalls {
		f.Add(uint8(i), 200, "", `"e"`, `{"file": {"id": "f"}, "upload_data": {"id": "u", "parts": [{"part_number": "2", "presigned_url": "http://x.test"}]}}`)
		f.Add(uint8(i), 503, "7", "", `{"code": 14, "message": "`+tokenCanary+`"}`)
		f.Add(uint8(i), 403, "soon", "", `<Error><Code>Denied</Code><Message>canary%2fsignature%2bb2d1</Message></Error>`)
		for _, bomb := range hostile.Bombs {
			f.Add(uint8(i), 200, "", "", bomb.Seed())
		}
		f.Add(uint8(i), 404, "", "", `{"code": 5}`)
		f.Add(uint8(i), 200, "", "", `{"id": "f", "download_uri": "x", "file": {"id": "f"}}`)
	}
	f.Fuzz(func(t *testing.T, which uint8, status int, after, tag, body string) {
		call := hostileCalls[int(which)%len(hostileCalls)]
		if status < 100 || status > 999 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			rt := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				if req.Body != nil {
					_, _ = io.Copy(io.Discard, req.Body)
					_ = req.Body.Close()
				}
				honest, err := honestly(call, req)
				if hostileCall(req) != call {
					return honest, err
				}
				resp := reply(status, body)
				resp.Header.Set("Retry-After", after)
				resp.Header.Set("ETag", tag)
				return resp, nil
			})
			for _, v := range makeEveryCall(t, rt, slog.New(slog.DiscardHandler)) {
				if err, ok := v.(error); ok {
					text := err.Error()
					require.NotContains(t, text, tokenCanary)
					require.NotContains(t, text, orgCanary)
					require.Less(t, len(text), 20<<10)
				}
			}
		})
	})
}

// What Check lets pass can be sent as JSON, and means the same there.
func FuzzCheck(f *testing.F) {
	f.Add("talk.mp4", "key", "value", "", "", int64(1))
	f.Add("", "", "\xff", "FILE_TYPE_AUDIO", "FILE_SOURCE_STT", int64(-2))
	f.Add("a\xff", "k", "v", "video", "tape", int64(70_000_000_001))
	b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("t", "o"), &blendvisionbackend.Options{Endpoint: "https://api.test"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name, key, value, kind, source string, size int64) {
		b := b.With(blendvisionbackend.FileOptions{Type: kind, Source: source})
		spec := sluice.FileSpec{Name: name, Size: size, Metadata: map[string]string{key: value}}
		if err := b.Check(spec); err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "blendvisionbackend: "), err)
			return
		}
		require.Positive(t, size)
		for _, text := range []string{name, key, value, kind, source} {
			require.True(t, utf8.ValidString(text))
		}
		require.NotEmpty(t, name)
		require.NotEmpty(t, key)
	})
}
