package s3backend

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/hostile"
)

// fuzzTransport is a transport made of a function.
type fuzzTransport func(*http.Request) (*http.Response, error)

func (f fuzzTransport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Whatever one call answers (status, headers, XML), nothing panics, hangs, or
// is taken for what it is not.
func FuzzAnswers(f *testing.F) {
	for i, call := range everyCall {
		f.Add(uint8(i), 200, "", "t", `<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>2</PartNumber><Size>-1</Size></Part></ListPartsResult>`)
		f.Add(uint8(i), 200, "", "", `<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>%zz</NextKeyMarker></ListMultipartUploadsResult>`)
		f.Add(uint8(i), 200, "", "t", `<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>-9</Size><LastModified>9</LastModified></Contents></ListBucketResult>`)
		f.Add(uint8(i), 200, "", "t", `<GetObjectAttributesResponse><ObjectParts><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1</PartNumber><Size>11</Size></Part></ObjectParts></GetObjectAttributesResponse>`)
		f.Add(uint8(i), 200, "", "t", `<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`)
		for _, bomb := range hostile.Bombs {
			f.Add(uint8(i), 200, "", "t", bomb.Seed())
		}
		f.Add(uint8(i), 503, "7", "t", `<Error><Code>SlowDown</Code><Message>`+call+`</Message></Error>`)
		f.Add(uint8(i), 301, "soon", "t", `<Error><Code>PermanentRedirect</Code><Region>eu</Region></Error>`)
		f.Add(uint8(i), 403, "Fri, 31 Dec 1999 23:59:59 GMT", "t", `<Error><Code>RequestTimeTooSkewed</Code></Error>`)
	}
	f.Fuzz(func(t *testing.T, which uint8, status int, after, tag, body string) {
		call := everyCall[int(which)%len(everyCall)]
		if status < 100 || status > 999 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			rt := fuzzTransport(func(req *http.Request) (*http.Response, error) {
				if req.Body != nil {
					_, _ = io.Copy(io.Discard, req.Body)
					_ = req.Body.Close()
				}
				honest, err := honestly(call, req)
				if everyCallOf(req) != call {
					return honest, err
				}
				return &http.Response{
					StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: req,
					Header: http.Header{
						"Etag": {tag}, "Retry-After": {after}, "Content-Length": {after}, "X-Amz-Checksum-Sha256": {tag}, "X-Amz-Request-Id": {tag},
						"Date": {after}, "X-Amz-Bucket-Region": {tag},
					},
				}, nil
			})
			for _, v := range makeEveryCall(t, rt, slog.New(slog.DiscardHandler)) {
				switch v := v.(type) {
				case error:
					text := v.Error()
					require.Less(t, len(text), 20<<10)
					require.True(t, utf8.ValidString(text), "%q", text)
				case []sluice.Receipt:
					var size int64
					for i, r := range v {
						require.Equal(t, i+1, r.Number)
						require.GreaterOrEqual(t, r.Size, int64(0))
						size += r.Size
					}
					require.LessOrEqual(t, size, int64(10), "more than the file has")
				case sluice.LargeFile:
					last := 0
					for _, r := range v.Info().Stored {
						require.Greater(t, r.Number, last)
						last = r.Number
					}
				}
			}
		})
	})
}

// What Check lets pass can be sent in headers and in a path, and comes back by the same name.
func FuzzCheck(f *testing.F) {
	f.Add("file", "text/plain", "key", "value", "class", int64(1))
	f.Add("", "\r\n", "a b", "\x00", "\n", int64(-2))
	f.Add("a/../b", "", "A", strings.Repeat("v", 2048), "", int64(5<<40+1))
	b, err := New(f.Context(), "data", &Options{Endpoint: "https://store.test", Region: "r", Credentials: NewCredentials(new(issuer))})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, name, contentType, key, value, class string, size int64) {
		b := b.With(FileOptions{StorageClass: class, CacheControl: value, Tags: map[string]string{key: value}})
		spec := sluice.FileSpec{Name: name, Size: size, ContentType: contentType, Metadata: map[string]string{key: value}}
		h, err := b.describe(spec)
		require.Equal(t, err == nil, b.Check(spec) == nil)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "s3backend: "), err)
			require.Less(t, len(err.Error()), 4*(len(name)+len(contentType)+len(key)+len(value)+len(class))+300)
			return
		}
		for _, values := range h {
			for _, v := range values {
				require.False(t, strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r >= 0x7f }), "%q", v)
			}
		}
		keys, err := b.client.credentials.Retrieve(t.Context())
		require.NoError(t, err)
		req, err := b.client.request(t.Context(), &call{name: "PutObject", method: http.MethodPut, key: name, header: h}, keys)
		require.NoError(t, err)
		require.Equal(t, "/"+name, req.URL.Path)
		require.GreaterOrEqual(t, size, int64(-1))
	})
}

// Whatever the endpoint, bucket and region, New refuses them in words or keeps to https.
func FuzzOptions(f *testing.F) {
	f.Add("https://store.test", "data", "r", int64(0), 0, int64(0))
	f.Add("http://localhost:9000/x", "my.data", "", int64(-1), -1, int64(1))
	f.Add("http://127.0.0.1.store.test", "my.data", "r", int64(1), 1, int64(1))
	f.Add("https://store.test", "a/b", "r", int64(1), 1, int64(-1))
	f.Fuzz(func(t *testing.T, endpoint, bucket, region string, maxFile int64, maxParts int, budget int64) {
		if endpoint == "" || region == "" {
			return // the environment is asked
		}
		b, err := New(t.Context(), bucket, &Options{
			Endpoint: endpoint, Region: region, Credentials: NewCredentials(new(issuer)), MaxFile: maxFile, MaxParts: maxParts, Retry: sluice.Retry{Budget: time.Duration(budget)},
		})
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "s3backend: "), err)
			return
		}
		base := b.client.base
		ip := net.ParseIP(base.Hostname())
		require.True(t, base.Scheme == "https" || base.Hostname() == "localhost" || ip != nil && ip.IsLoopback(), "%s", base.Host)
		require.Nil(t, base.User)
		require.Positive(t, b.Limits().MaxParts)
		require.Positive(t, b.Limits().MaxFile)
	})
}
