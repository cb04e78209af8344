package s3backend

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// upload stores data, in parts if it is longer than one.
func upload(t *testing.T, b *Backend, name string, data []byte) sluice.File {
	f, err := stream(t.Context(), b, name, data)
	require.NoError(t, err)
	return f
}

// openFile opens a finished file for reading.
func openFile(t *testing.T, b *Backend, name string) *Download {
	d, err := b.Open(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// requireDownload reads all of it.
func requireDownload(t *testing.T, want []byte, d *Download) {
	t.Helper()
	got, err := io.ReadAll(d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes came of %d", len(got), len(want))
}

func TestADownloadIsTheFile(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	for _, n := range []int{0, 1, minPart, 2*minPart + 7} {
		data := random(n)
		f := upload(t, b, "dir/näme +%?#&.tar", data)
		d := openFile(t, b, f.Name)
		require.Equal(t, f.ID, d.ID)
		require.Equal(t, f.Name, d.Name)
		require.EqualValues(t, n, d.Size)
		if f.Parts == 0 {
			require.Equal(t, sums(data), sluice.Digests{d.Digest})
		} else {
			require.Zero(t, d.Digest, "the store has one of the parts' digests only")
		}
		require.NoError(t, iotest.TestReader(d, data))
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
	data := random(1000)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", data)
	p := newProxy(t, false, &fault{calls: "GetObject", strike: within(flipped)})
	_, err := io.ReadAll(openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
	require.ErrorContains(t, err, fmt.Sprintf("not %x as stored", sums(data)[0].Sum))
}

func TestABrokenDownloadGoesOnWhereItEnded(t *testing.T) {
	broken := half(func(*testing.T) {})
	bucket := newBucket(t)
	for name, size := range map[string]int{"in one call": 10_000, "in parts": minPart + 10_000} {
		t.Run(name, func(t *testing.T) {
			data := random(size)
			upload(t, newBackend(t, server.URL, bucket, nil), "a", data)
			p := newProxy(t, false, &fault{times: 1, strike: broken}, &fault{times: 1, strike: answer(503, "SlowDown")},
				&fault{times: 1, strike: broken}, &fault{times: 1, strike: drop})
			d := openFile(t, newBackend(t, p.URL, bucket, nil), "a")
			requireDownload(t, data, d)
			require.Equal(t, 5, p.count("GetObject"))
			last := p.last(t, "GetObject")
			require.Equal(t, fmt.Sprintf("bytes=%d-", size/2+(size-size/2)/2), last.Header.Get("Range"))
			require.Equal(t, d.ID, id("", last.Header.Get("If-Match")))
		})
	}
}

func TestADownloadNeverGoesOnWithAnotherFile(t *testing.T) {
	bucket := newBucket(t)
	b := newBackend(t, server.URL, bucket, nil)
	for name, meanwhile := range map[string]func(t *testing.T){
		"replaced": func(t *testing.T) { upload(t, b, "a", random(9_000)) },
		"removed":  func(t *testing.T) { require.NoError(t, os.Remove(filepath.Join(server.Data, bucket, "a"))) },
	} {
		t.Run(name, func(t *testing.T) {
			data := random(10_000)
			upload(t, b, "a", data)
			p := newProxy(t, false, &fault{times: 1, strike: half(meanwhile)})
			got, err := io.ReadAll(openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
			require.ErrorIs(t, err, errReplaced)
			require.ErrorContains(t, err, `"a", after 5000 of 10000 bytes`)
			require.Equal(t, data[:5000], got)
			require.Equal(t, 2, p.count("GetObject"), "another attempt would fail in the same way")
		})
	}
}

func TestADownloadThatBringsNothingIsGivenUp(t *testing.T) {
	bucket := newBucket(t)
	data := random(10_000)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", data)
	p := newProxy(t, false, &fault{times: 1, strike: half(func(*testing.T) {})}, &fault{strike: drop})
	d := openFile(t, newBackend(t, p.URL, bucket, nil), "a")
	got, err := io.ReadAll(d)
	require.ErrorContains(t, err, `"a", after 5000 of 10000 bytes: GetObject`)
	require.Equal(t, data[:5000], got)
	require.Equal(t, 1+quick.Attempts, p.count("GetObject"))
	_, again := d.Read(make([]byte, 1))
	require.Equal(t, err, again, "it sticks")
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// canned is a backend whose downloads are answered by the function.
func canned(t *testing.T, o Options, f roundTrip) *Backend {
	o.Endpoint, o.Region, o.Transport = "https://store.test", "us-east-1", f
	o.Credentials = credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession)
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

func TestADownloadWaitsForASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := canned(t, Options{Retry: sluice.Retry{Stall: time.Minute, Attempts: 1}}, func(r *http.Request) (*http.Response, error) {
			resp := response(200, "xxx")
			resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
				p[0] = 'x'
				return 1, r.Context().Err()
			}))
			return resp, nil
		})
		d := openFile(t, b, "a")
		for range 3 {
			time.Sleep(time.Hour)
			_, err := d.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		_, err := d.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

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
			b := canned(t, Options{}, func(*http.Request) (*http.Response, error) { return response(200, data, c.header, sum), nil })
			d := openFile(t, b, "a")
			require.Equal(t, sluice.Digest{Name: c.name, Sum: []byte(c.sum)}, d.Digest)
			requireDownload(t, []byte(data), d)
			b = canned(t, Options{}, func(*http.Request) (*http.Response, error) { return response(200, "12345678x", c.header, sum), nil })
			_, err := io.ReadAll(openFile(t, b, "a"))
			require.ErrorContains(t, err, "have "+c.name)
		})
	}
}

func TestADigestOfPartsIsNotTakenForOneOfTheFile(t *testing.T) {
	sum := base64.StdEncoding.EncodeToString(binary(crc32.ChecksumIEEE(nil)))
	for _, header := range [][]string{
		{"X-Amz-Checksum-Crc32", sum + "-2"},
		{"X-Amz-Checksum-Crc32", sum, "X-Amz-Checksum-Type", "COMPOSITE"},
		{"X-Amz-Checksum-Crc32", "AAAA"},
	} {
		b := canned(t, Options{}, func(*http.Request) (*http.Response, error) { return response(200, "data", header...), nil })
		d := openFile(t, b, "a")
		require.Zero(t, d.Digest)
		requireDownload(t, []byte("data"), d)
	}
}

func binary(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// An answer that is not about the bytes asked for is tried again, and never taken.
func TestADownloadTakesNoOtherBytesThanItAskedFor(t *testing.T) {
	for want, wrong := range map[string]*http.Response{
		"no ETag":                            response(206, "56789", "Etag", "", "Content-Range", "bytes 5-9/10"),
		`of the file with ETag "\"u\""`:      response(206, "56789", "Etag", `"u"`, "Content-Range", "bytes 5-9/10"),
		"status 200, not 206":                response(200, "0123456789"),
		`("bytes 4-8/10"), not 5 ("bytes 5-`: response(206, "45678", "Content-Range", "bytes 4-8/10"),
		`4 bytes ("bytes 5-9/10"), not 5`:    response(206, "5678", "Content-Range", "bytes 5-9/10"),
	} {
		t.Run(want, func(t *testing.T) {
			asked := 0
			b := canned(t, Options{Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}}, func(*http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					resp := response(200, "0123456789")
					resp.Body = io.NopCloser(io.MultiReader(bytes.NewBufferString("01234"), iotest.ErrReader(io.ErrUnexpectedEOF)))
					return resp, nil
				}
				return wrong, nil
			})
			got, err := io.ReadAll(openFile(t, b, "a"))
			require.ErrorContains(t, err, "unusable answer")
			require.ErrorContains(t, err, want)
			require.Equal(t, "01234", string(got))
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

func TestADownloadOfACustomersKeySendsTheKey(t *testing.T) {
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	var sent http.Header
	b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return response(200, "data"), nil
	})
	requireDownload(t, []byte("data"), openFile(t, b.With(FileOptions{Encryption: customer}), "a"))
	require.Equal(t, base64.StdEncoding.EncodeToString([]byte(canaryKey)), sent.Get("X-Amz-Server-Side-Encryption-Customer-Key"))
}

func TestADownloadOutlivesItsCredentials(t *testing.T) {
	bucket := newBucket(t)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", random(10))
	p := newProxy(t, false, &fault{times: 1, strike: answer(400, "ExpiredToken")})
	requireDownload(t, random(10), openFile(t, newBackend(t, p.URL, bucket, nil), "a"))
}

func TestWhatIsNotThereIsToldSo(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	_, err := b.Open(t.Context(), "nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, `"nothing"`)
	_, err = b.Open(t.Context(), "")
	require.ErrorContains(t, err, "file name is empty")
	_, err = newBackend(t, server.URL, "no-such-bucket", nil).Open(t.Context(), "a")
	require.ErrorContains(t, err, "NoSuchBucket")
	require.NotErrorIs(t, err, fs.ErrNotExist, "it is the bucket")
}

func TestTheEndOfTheContextEndsADownload(t *testing.T) {
	bucket := newBucket(t)
	upload(t, newBackend(t, server.URL, bucket, nil), "a", random(10_000))
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan struct{})
	p := newProxy(t, false, &fault{strike: half(func(t *testing.T) {
		<-opened
		cancel()
		<-t.Context().Done()
	})})
	d, err := newBackend(t, p.URL, bucket, nil).Open(ctx, "a")
	require.NoError(t, err)
	defer d.Close()
	close(opened)
	_, err = io.ReadAll(d)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, retry.ErrStalled)
}

func TestAClosedDownloadReadsNothing(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	upload(t, b, "a", random(10))
	d := openFile(t, b, "a")
	require.NoError(t, d.Close())
	_, err := d.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
}
