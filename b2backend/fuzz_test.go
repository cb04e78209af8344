package b2backend_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// fuzzedCalls are all whose answers are read.
var fuzzedCalls = []string{
	"b2_authorize_account", "b2_list_buckets", "b2_get_upload_url", "b2_upload_file", "b2_start_large_file", "b2_get_upload_part_url",
	"b2_upload_part", "b2_finish_large_file", "b2_cancel_large_file", "b2_list_parts", "b2_list_unfinished_large_files", "b2_get_file_info",
	"b2_list_file_versions", "b2_list_file_names", "b2_delete_file_version", "b2_copy_part", "b2_copy_file",
}

// Whatever one call answers, be it the service or what stands before it,
// nothing panics, hangs or is taken for a success that it is not, and no error
// carries a secret or is endless.
func FuzzAnswers(f *testing.F) {
	for i, call := range fuzzedCalls {
		f.Add(uint8(i), 200, "", fakeAnswers[call])
		f.Add(uint8(i), 200, "", `{"parts":[{"partNumber":2,"contentLength":-1},{"partNumber":1}],"nextPartNumber":0,"files":[{"fileId":"large","fileName":"file"}],"nextFileId":"x"}`)
		f.Add(uint8(i), 400, "", `{"code":"bad_request","message":"more than one upload using auth token UPTOKEN","status":400}`)
		f.Add(uint8(i), 401, "", `{"code":"expired_auth_token","message":"TOKEN"}`)
		f.Add(uint8(i), 503, "1", "<html>")
		f.Add(uint8(i), 200, "", `{"fileId":"large","contentLength":100,"contentSha1":"none","partNumber":1}`)
		for _, bomb := range hostile.Bombs {
			f.Add(uint8(i), 200, "", bomb.Seed())
		}
		f.Add(uint8(i), 200, "", `{"uploadUrl":"http://elsewhere.test/?TOKEN","authorizationToken":"x","accountId":"acc","apiInfo":{"storageApi":{"apiUrl":"ftp://x"}}}`)
	}
	f.Fuzz(func(t *testing.T, which uint8, status int, after, body string) {
		call := fuzzedCalls[int(which)%len(fuzzedCalls)]
		if status < 100 || status > 999 || strings.ContainsAny(after, "\r\n|") {
			return
		}
		transport := &fake{answers: map[string]func(*http.Request) (int, string){
			call: func(*http.Request) (int, string) {
				if after != "" && after != "0" {
					return status, "0|" + body // a wait that was asked for takes real time
				}
				return status, body
			},
		}}
		for _, err := range everyCall(t, transport) {
			text := err.Error()
			require.NotContains(t, text, "APPLICATION-KEY")
			require.Less(t, len(text), 20<<10)
			require.True(t, utf8.ValidString(text))
			require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) && r < 0x80 }), "%q", text)
		}
	})
}

// everyCall makes every call there is, checks what succeeds, and returns the
// errors.
func everyCall(t *testing.T, transport http.RoundTripper) (errs []error) {
	note := func(err error) bool {
		if err != nil {
			errs = append(errs, err)
		}
		return err == nil
	}
	b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "APPLICATION-KEY"), "bucket",
		&b2backend.Options{Transport: transport, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Microsecond}})
	if !note(err) {
		return errs
	}
	data := testutil.Content(100)
	one, two := part(1, data), part(2, data)
	file, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "file", Size: 100}, part(0, data))
	if note(err) {
		require.NotEmpty(t, file.ID)
		require.EqualValues(t, 100, file.Size)
	}
	for u, err := range b.Unfinished(t.Context(), "") {
		if !note(err) {
			break
		}
		require.EqualValues(t, sluice.UnknownSize, u.Spec.Size)
	}
	if large, err := b.ResumeLargeFile(t.Context(), spec("file"), ""); note(err) {
		last := 0
		for _, r := range large.Info().Stored {
			require.Greater(t, r.Number, last)
			require.Positive(t, r.Size)
			last = r.Number
		}
	}
	_, err = b.CopyFile(t.Context(), spec("copy"), b2backend.CopySource{FileID: "x"})
	note(err)
	for f, err := range b.List(t.Context(), "f") {
		if note(err) {
			requireReadable(t, f)
		}
	}
	if f, err := b.Stat(t.Context(), "file"); note(err) {
		requireReadable(t, f)
		require.Equal(t, "file", f.Name)
	}
	note(b.Remove(t.Context(), sluice.StoredFile{File: sluice.File{ID: "id", Name: "file"}}))
	large, err := b.StartLargeFile(t.Context(), spec("file"))
	if !note(err) {
		return errs
	}
	require.NotEmpty(t, large.Info().ID)
	if r, err := large.UploadPart(t.Context(), one); note(err) {
		require.Equal(t, sluice.Receipt{Number: 1, Size: 100, Digests: one.Digests}, r)
	}
	_, err = large.(*b2backend.LargeFile).CopyPart(t.Context(), 2, b2backend.CopySource{FileID: "x"})
	note(err)
	file, err = large.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 100, Digests: one.Digests}, {Number: 2, Size: 100, Digests: two.Digests}}, nil)
	if note(err) {
		require.Equal(t, sluice.File{ID: large.Info().ID, Name: "file", Size: 200, Parts: 2}, file)
	} else if !errors.Is(err, sluice.ErrFinishUnknown) {
		note(large.Cancel(t.Context()))
	}
	return errs
}

// requireReadable sees that a file can be asked for.
func requireReadable(t *testing.T, f sluice.StoredFile) {
	t.Helper()
	require.NotEmpty(t, f.ID)
	require.GreaterOrEqual(t, f.Size, int64(0))
	for _, d := range f.Digests {
		require.Len(t, d.Sum, 20)
	}
}

// What Check lets pass can be sent: as a header, and as JSON.
func FuzzCheck(f *testing.F) {
	f.Add("file", "text/plain", "key", "value", int64(1))
	f.Add("", "\r\n", "b2-x", "\x00", int64(-2))
	f.Add("a\xffb/ü", "", "SLUICE-ID", strings.Repeat("v", 7000), int64(11_000_000_000_000))
	b, err := b2backend.New(f.Context(), b2backend.NewCredentials("id", "key"), "bucket", &b2backend.Options{Transport: &fake{}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name, contentType, key, value string, size int64) {
		err := b.Check(sluice.FileSpec{Name: name, Size: size, ContentType: contentType, Metadata: map[string]string{key: value}})
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "b2backend: "), err)
			require.Less(t, len(err.Error()), 4*(len(name)+len(contentType)+len(key)+len(value))+200)
			return
		}
		for _, text := range []string{name, contentType, key, value} {
			require.True(t, utf8.ValidString(text))
			require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }))
		}
		require.LessOrEqual(t, len(name), 1024)
		require.NotEmpty(t, name)
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(key), 50)
		require.GreaterOrEqual(t, size, int64(-1))
	})
}

// Whatever the headers and the bytes of a download are, it ends well only with
// all bytes of the file, and they have its SHA-1.
func FuzzDownload(f *testing.F) {
	f.Add(206, "id", "none", "bytes 0-3/4", "", "xxxx", int64(4))
	f.Add(206, "id", "unverified:0000", "bytes 0-3/4", "7", "xx", int64(9))
	f.Add(404, "", "", "", "soon", `{"code":"not_found"}`, int64(-1))
	f.Fuzz(func(t *testing.T, status int, id, sum, contentRange, after, body string, length int64) {
		if status < 100 || status > 999 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			service := withFileID(&fake{answers: map[string]func(*http.Request) (int, string){
				"b2_get_file_info": func(*http.Request) (int, string) {
					return 200, fmt.Sprintf(`{"fileId":"id","fileName":"file","contentLength":4,"contentSha1":%q}`, strings.ToValidUTF8(sum, ""))
				},
			}})
			b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "APPLICATION-KEY"), "bucket", &b2backend.Options{
				Retry: sluice.Retry{Attempts: 3},
				Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
					if !strings.HasSuffix(req.URL.Path, byID) {
						return service.RoundTrip(req)
					}
					return &http.Response{
						StatusCode: status, ContentLength: length, Body: io.NopCloser(strings.NewReader(body)), Request: req,
						Header: http.Header{"X-Bz-File-Id": {id}, "Content-Range": {contentRange}, "Retry-After": {after}},
					}, nil
				}),
			})
			require.NoError(t, err)
			var got bytes.Buffer
			stored, err := sluice.Download(t.Context(), b, "file", &got, nil)
			if err != nil {
				require.Less(t, len(err.Error()), 20<<10)
				return
			}
			require.Equal(t, body[:4], got.String())
			if want := stored.Digests.Get("sha1"); want != nil {
				require.Equal(t, want, part(1, got.Bytes()).Digests.Get("sha1"))
			}
		})
	})
}

// What options let pass can be sent, and what they refuse is said in words.
func FuzzFileOptions(f *testing.F) {
	f.Add("max-age=1", "attachment", "gzip", "de", "governance", "on", "0123", int64(1))
	f.Add("\r\n", "\x00", "ö", " ", "x", "maybe", strings.Repeat("0", 40), int64(-1))
	b, err := b2backend.New(f.Context(), b2backend.NewCredentials("id", "key"), "bucket", &b2backend.Options{Transport: &fake{}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, cache, disposition, encoding, language, mode, hold, sum string, until int64) {
		o := b2backend.FileOptions{
			CacheControl: cache, ContentDisposition: disposition, ContentEncoding: encoding, ContentLanguage: language, LargeFileSHA1: sum,
			LegalHold: b2backend.LegalHold(hold),
		}
		o.Retention.Mode = b2backend.RetentionMode(mode)
		if until != 0 {
			o.Retention.Until = time.UnixMilli(until)
		}
		if err := b.With(o).Check(spec("file")); err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "b2backend: "), err)
			return
		}
		_, err := b.With(o).StartLargeFile(t.Context(), spec("file"))
		require.NoError(t, err)
	})
}
