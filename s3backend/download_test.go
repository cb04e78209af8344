package s3backend

import (
	"bytes"
	"encoding/base64"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// upload stores data, in parts if it is longer than one.
func upload(t *testing.T, b *Backend, name string, data []byte) sluice.File {
	f, err := stream(t.Context(), b, name, data)
	require.NoError(t, err)
	return f
}

// openFile opens a finished file for reading, in ranges one after the other.
func openFile(t *testing.T, b *Backend, name string) *sluice.LargeFileReader {
	r, err := sluice.NewReader(t.Context(), b, name, &sluice.ReadOptions{Concurrency: 1, IgnoreManifest: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// requireDownload reads all of it.
func requireDownload(t *testing.T, want []byte, r io.Reader) {
	t.Helper()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes came of %d", len(got), len(want))
}

func TestADownloadIsTheFile(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	for _, n := range []int{0, 1, minPart, 2*minPart + 7} {
		data := testutil.Content(n)
		f := upload(t, b, "dir/näme +%?#&.tar", data)
		r := openFile(t, b, f.Name)
		require.Equal(t, f.ID, r.File().ID)
		require.EqualValues(t, n, r.File().Size)
		if f.Parts == 0 {
			require.Equal(t, sums(data), r.File().Digests)
		} else {
			require.Empty(t, r.File().Digests, "the store has one of the parts' digests only")
		}
		require.NoError(t, iotest.TestReader(r, data))
	}
}

// sums is the SHA-256 that the store keeps of a file in one call.
func sums(data []byte) sluice.Digests {
	h := sha256Checksum.new()
	h.Write(data)
	return sluice.Digests{{Name: "sha256", Sum: h.Sum(nil)}}
}

// within changes the body of the answer that it strikes.
func within(change func(io.Writer) io.Writer) strike {
	return func(_ *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
		rec := httptest.NewRecorder()
		pass.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = change(w).Write(rec.Body.Bytes())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// half lets half of the answer pass, and then does what then does.
func half(then func(t *testing.T)) strike {
	return func(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
		within(func(w io.Writer) io.Writer {
			return writerFunc(func(p []byte) (int, error) {
				_, _ = w.Write(p[:len(p)/2])
				w.(http.Flusher).Flush()
				then(t)
				panic(http.ErrAbortHandler)
			})
		})(t, w, r, pass)
	}
}

// flipped changes every byte.
func flipped(w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		for i := range p {
			p[i] ^= 1
		}
		return w.Write(p)
	})
}

func TestBytesThatAreNotThoseStoredDoNotEndWell(t *testing.T) {
	bucket := newBucket(t)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", testutil.Content(1000))
	p := newProxy(t, false, &fault{calls: "GetObject", strike: within(flipped)})
	_, err := io.ReadAll(openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
	require.ErrorIs(t, err, sluice.ErrDamaged)
}

func TestABrokenDownloadGoesOnWhereItEnded(t *testing.T) {
	broken := half(func(*testing.T) {})
	bucket := newBucket(t)
	for name, size := range map[string]int{"in one call": 10_000, "in parts": minPart + 10_000} {
		t.Run(name, func(t *testing.T) {
			data := testutil.Content(size)
			upload(t, newBackend(t, server.URL, bucket, nil), "a", data)
			p := newProxy(t, false, &fault{calls: "GetObject", times: 1, strike: broken},
				&fault{calls: "GetObject", times: 1, strike: answer(503, "SlowDown")},
				&fault{calls: "GetObject", times: 1, strike: broken}, &fault{calls: "GetObject", times: 1, strike: drop})
			r := openFile(t, newBackend(t, p.URL, bucket, nil), "a")
			requireDownload(t, data, r)
			if size == 10_000 {
				require.Equal(t, 5, p.count("GetObject"))
				require.Equal(t, "bytes=7500-9999", p.last(t, "GetObject").Header.Get("Range"))
			}
			require.Equal(t, r.File().ETag, p.last(t, "GetObject").Header.Get("If-Match"))
		})
	}
}

func TestADownloadNeverGoesOnWithAnotherFile(t *testing.T) {
	bucket := newBucket(t)
	b := newBackend(t, server.URL, bucket, nil)
	for want, meanwhile := range map[error]func(t *testing.T){
		sluice.ErrReplaced: func(t *testing.T) { upload(t, b, "a", testutil.Content(9_000)) },
		fs.ErrNotExist:     func(t *testing.T) { require.NoError(t, os.Remove(filepath.Join(server.Data, bucket, "a"))) },
	} {
		t.Run(want.Error(), func(t *testing.T) {
			data := testutil.Content(10_000)
			upload(t, b, "a", data)
			p := newProxy(t, false, &fault{calls: "GetObject", times: 1, strike: half(meanwhile)})
			got, err := io.ReadAll(openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
			require.ErrorIs(t, err, want)
			require.True(t, bytes.HasPrefix(data, got))
			require.Equal(t, 2, p.count("GetObject"), "another attempt would fail in the same way")
		})
	}
}

func TestADownloadThatBringsNothingIsGivenUp(t *testing.T) {
	bucket := newBucket(t)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", testutil.Content(10_000))
	p := newProxy(t, false, &fault{calls: "GetObject", times: 1, strike: half(func(*testing.T) {})},
		&fault{calls: "GetObject", strike: drop})
	_, err := io.ReadAll(openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
	require.ErrorContains(t, err, "GetObject")
	require.Equal(t, 1+quick.Attempts, p.count("GetObject"))
}

// canned is a backend whose downloads are answered by the function.
func canned(t *testing.T, o Options, f testutil.RoundTripFunc) *Backend {
	o.Endpoint, o.Region, o.Transport = "https://store.test", "us-east-1", f
	o.Credentials = NewCredentials(credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession))
	b, err := New(t.Context(), "bucket", &o)
	require.NoError(t, err)
	return b
}

// response answers with data under the headers.
func response(status int, data string, header ...string) *http.Response {
	h := http.Header{"Etag": {`"t"`}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, ContentLength: int64(len(data)), Header: h, Body: io.NopCloser(bytes.NewBufferString(data))}
}

// serves answers as a store that has a file of the data, told with the headers.
func serves(data string, header ...string) testutil.RoundTripFunc {
	return func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodHead {
			return response(200, "", append(header, "Content-Length", strconv.Itoa(len(data)))...), nil
		}
		return response(200, data, header...), nil
	}
}

// Each digest is that of "123456789" in the catalogues.
func TestADownloadIsCheckedByAnyDigestOfTheWholeFile(t *testing.T) {
	const data = "123456789"
	for _, c := range []struct{ name, header, sum string }{
		{"crc32", "X-Amz-Checksum-Crc32", "\xcb\xf4\x39\x26"},
		{"crc32c", "X-Amz-Checksum-Crc32c", "\xe3\x06\x92\x83"},
		{"crc64nvme", "X-Amz-Checksum-Crc64nvme", "\xae\x8b\x14\x86\x0a\x79\x98\x88"},
		{"sha1", "X-Amz-Checksum-Sha1", "\xf7\xc3\xbc\x1d\x80\x8e\x04\x73\x2a\xdf\x67\x99\x65\xcc\xc3\x4c\xa7\xae\x34\x41"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sum := base64.StdEncoding.EncodeToString([]byte(c.sum))
			r := openFile(t, canned(t, Options{}, serves(data, c.header, sum)), "a")
			require.Equal(t, sluice.Digests{{Name: c.name, Sum: []byte(c.sum)}}, r.File().Digests)
			requireDownload(t, []byte(data), r)
			_, err := io.ReadAll(openFile(t, canned(t, Options{}, serves("12345678x", c.header, sum)), "a"))
			require.ErrorIs(t, err, sluice.ErrDamaged)
			require.ErrorContains(t, err, c.name)
		})
	}
}

func TestADigestOfPartsIsNotTakenForOneOfTheFile(t *testing.T) {
	sum := base64.StdEncoding.EncodeToString(binaryForm(crc32.ChecksumIEEE(nil)))
	for _, header := range [][]string{
		{"X-Amz-Checksum-Crc32", sum + "-2"},
		{"X-Amz-Checksum-Crc32", sum, "X-Amz-Checksum-Type", "COMPOSITE"},
		{"X-Amz-Checksum-Crc32", "AAAA"},
	} {
		r := openFile(t, canned(t, Options{}, serves("data", header...)), "a")
		require.Empty(t, r.File().Digests)
		requireDownload(t, []byte("data"), r)
	}
}

func binaryForm(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// An answer that is not about the bytes asked for is tried again, and never taken.
func TestADownloadTakesNoOtherBytesThanItAskedFor(t *testing.T) {
	for want, wrong := range map[string]*http.Response{
		`the file of ETag "", not`:                    response(206, "56789", "Etag", "", "Content-Range", "bytes 5-9/10"),
		`the file of ETag "\"u\"", not`:               response(206, "56789", "Etag", `"u"`, "Content-Range", "bytes 5-9/10"),
		"status 200, not 206":                         response(200, "0123456789"),
		`the range "bytes 4-8/10", not "bytes 5-9/10`: response(206, "45678", "Content-Range", "bytes 4-8/10"),
		"4 bytes, not 5":                              response(206, "5678", "Content-Range", "bytes 5-9/10"),
	} {
		t.Run(want, func(t *testing.T) {
			asked := 0
			b := canned(t, Options{Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}}, func(*http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					resp := response(206, "0123456789", "Content-Range", "bytes 0-9/10")
					resp.Body = io.NopCloser(io.MultiReader(bytes.NewBufferString("01234"), iotest.ErrReader(io.ErrUnexpectedEOF)))
					return resp, nil
				}
				return wrong, nil
			})
			r := sluice.NewRange(0, 10)
			err := b.ReadRange(t.Context(), sluice.StoredFile{File: sluice.File{ID: "t", Name: "a", Size: 10}, ETag: `"t"`}, r)
			require.ErrorContains(t, err, "unusable answer")
			require.ErrorContains(t, err, want)
			require.Equal(t, "01234", string(r.Bytes()))
			require.Equal(t, 3, asked)
		})
	}
}

func TestADownloadIsAsStoredThoughItSaysGzip(t *testing.T) {
	bucket := newBucket(t)
	data := []byte("not gzip at all")
	upload(t, newBackend(t, server.URL, bucket, nil).With(FileOptions{ContentEncoding: "gzip"}), "a", data)
	rt := &http.Transport{} // which would unpack
	t.Cleanup(rt.CloseIdleConnections)
	requireDownload(t, data, openFile(t, newBackend(t, server.URL, bucket, &Options{Transport: rt}), "a"))
}

func TestADownloadOutlivesItsCredentials(t *testing.T) {
	bucket := newBucket(t)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", testutil.Content(10))
	p := newProxy(t, false, &fault{calls: "GetObject", times: 1, strike: answer(400, "ExpiredToken")})
	requireDownload(t, testutil.Content(10), openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
}

func TestStat_OfWhatIsNotThere(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	_, err := b.Stat(t.Context(), "nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, `"nothing"`)
	_, err = b.Stat(t.Context(), "")
	require.ErrorContains(t, err, "file name is empty")
}
