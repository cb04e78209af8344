package b2backend_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/exchange"
)

const (
	byName = "b2_download_file_by_name"
	byID   = "b2_download_file_by_id"
)

// store uploads data, in parts if it is longer than one.
func store(t *testing.T, b *b2backend.Backend, name string, data []byte) sluice.File {
	f, err := streamed(t.Context(), b, name, data)
	require.NoError(t, err)
	return f
}

func open(t *testing.T, b *b2backend.Backend, name string) *b2backend.Download {
	d, err := b.Open(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// requireDownload reads all of it.
func requireDownload(t *testing.T, want []byte, d *b2backend.Download) {
	t.Helper()
	got, err := io.ReadAll(d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes came of %d", len(got), len(want))
}

func TestADownloadIsTheFile(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	for _, n := range []int{0, 1, minPart, 5*minPart + 7} {
		data := content(n)
		f := store(t, b, "dir/näme +%?#&.tar", data)
		d := open(t, b, f.Name)
		require.Equal(t, f.ID, d.ID)
		require.Equal(t, f.Name, d.Name)
		require.EqualValues(t, n, d.Size)
		if f.Parts == 0 {
			sum := sha1.Sum(data)
			require.Equal(t, sum[:], d.SHA1)
		} else {
			require.Nil(t, d.SHA1, "the service does not know it")
		}
		require.NoError(t, iotest.TestReader(d, data))
	}
}

func TestADownloadKnowsTheSHA1ThatTheUploaderSaid(t *testing.T) {
	s := newServer(t, nil)
	data := content(3 * minPart)
	sum := sha1.Sum(data)
	b := dial(t, s)
	store(t, b.With(b2backend.FileOptions{LargeFileSHA1: hexOf(sum[:])}), "right", data)
	store(t, b.With(b2backend.FileOptions{LargeFileSHA1: strings.Repeat("0", 40)}), "wrong", data)
	d := open(t, b, "right")
	require.Equal(t, sum[:], d.SHA1)
	requireDownload(t, data, d)
	got, err := io.ReadAll(open(t, b, "wrong"))
	require.ErrorContains(t, err, "have SHA-1 "+hexOf(sum[:])+", not 0000")
	require.Len(t, got, len(data))
}

func TestADownloadOfBytesThatAreNotThoseStoredDoesNotEndWell(t *testing.T) {
	s := newServer(t, nil)
	data := content(minPart)
	store(t, dial(t, s), "file", data)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: tampering(t, func(_ *http.Request, body io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			n, err := body.Read(p)
			for i := range p[:n] {
				p[i] ^= 1
			}
			return n, err
		})
	})})
	_, err := io.ReadAll(open(t, b, "file"))
	require.ErrorContains(t, err, "have SHA-1")
}

func TestABrokenDownloadGoesOnWhereItEnded(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := content(10_000)
	store(t, b, "file", data)
	inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Truncate},
		b2test.Fault{Call: byID, Status: 503}, b2test.Fault{Call: byID, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Kind: b2test.Drop})
	requireDownload(t, data, open(t, b, "file"))
	require.Equal(t, []int{1, 1, 1, 1}, s.Fired())
	require.Equal(t, 1, s.Count(byName))
}

func TestADownloadGoesOnWithTheVersionThatItBeganWith(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := content(10_000)
	store(t, b, "file", data)
	inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Truncate})
	d := open(t, b, "file")
	store(t, b, "file", content(9_000))
	requireDownload(t, data, d)
}

func TestADownloadOutlivesItsToken(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := content(10_000)
	store(t, b, "file", data)
	inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Truncate})
	d := open(t, b, "file")
	s.Advance(25 * time.Hour)
	requireDownload(t, data, d)
}

func TestADownloadThatBringsNothingIsGivenUp(t *testing.T) {
	s := newServer(t, nil)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond}})
	store(t, b, "file", content(10_000))
	inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Kind: b2test.Drop, Count: -1})
	d := open(t, b, "file")
	got, err := io.ReadAll(d)
	require.ErrorContains(t, err, `"file", after 5000 of 10000 bytes: b2_download_file_by_id`)
	require.Equal(t, content(10_000)[:5000], got)
	require.Equal(t, 3, s.Count(byID))
	_, again := d.Read(make([]byte, 1))
	require.Equal(t, err, again, "it sticks")
}

func TestADownloadThatStallsGoesOnElsewhere(t *testing.T) {
	s := newServer(t, nil)
	data := content(10_000)
	store(t, dial(t, s), "file", data)
	for name, kind := range map[string]b2test.FaultKind{"before the answer": b2test.Stall, "within it": ""} {
		t.Run(name, func(t *testing.T) {
			o := &b2backend.Options{Retry: sluice.Retry{Stall: 50 * time.Millisecond, MaxWait: time.Millisecond}}
			if kind != "" {
				inject(t, s, b2test.Fault{Call: byName, Kind: kind})
			} else {
				o.Transport = tampering(t, func(req *http.Request, body io.Reader) io.Reader {
					return io.MultiReader(io.LimitReader(body, 3000), readerFunc(func([]byte) (int, error) {
						<-req.Context().Done()
						return 0, req.Context().Err()
					}))
				})
			}
			requireDownload(t, data, open(t, dialAs(t, s, mainKey(s), o), "file"))
		})
	}
}

func TestADownloadWaitsForASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host != "f.test" {
				return f.RoundTrip(req)
			}
			body := readerFunc(func(p []byte) (int, error) {
				if err := req.Context().Err(); err != nil {
					return 0, err
				}
				p[0] = 'x'
				return 1, nil
			})
			return &http.Response{
				StatusCode: http.StatusOK, ContentLength: 3, Header: http.Header{"X-Bz-File-Id": {"id"}}, Body: io.NopCloser(body),
			}, nil
		})
		b, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id"}, "bucket", &b2backend.Options{
			Transport: rt, Retry: sluice.Retry{Stall: time.Minute, Attempts: 1},
		})
		require.NoError(t, err)
		d, err := b.Open(t.Context(), "file")
		require.NoError(t, err)
		defer d.Close()
		for range 3 {
			time.Sleep(time.Hour)
			_, err := d.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		_, err = d.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

func TestADownloadIsAsStoredThoughItSaysGzip(t *testing.T) {
	s := newServer(t, nil)
	data := []byte("not gzip at all")
	store(t, dial(t, s).With(b2backend.FileOptions{ContentEncoding: "gzip"}), "file", data)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: &http.Transport{}}) // which would unpack
	requireDownload(t, data, open(t, b, "file"))
}

func TestADownloadOfACustomersKeyTakesTheKey(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	e, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	with := b.With(b2backend.FileOptions{Encryption: e})
	data := content(3 * minPart)
	store(t, with, "file", data)
	requireDownload(t, data, open(t, with, "file"))
	_, err = b.Open(t.Context(), "file")
	require.ErrorContains(t, err, "400 bad_request")
}

func TestWhatIsNotThereIsToldSo(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	start(t, b, "unfinished")
	s.ExpectUnfinished("unfinished")
	for _, name := range []string{"nothing", "unfinished"} {
		_, err := b.Open(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, name)
	}
	_, err := b.Open(t.Context(), "")
	require.ErrorContains(t, err, "file name is empty")
}

func TestAKeyThatMayOnlyReadDownloadsAndUploadsNothing(t *testing.T) {
	s := newServer(t, nil)
	data := content(minPart)
	store(t, dial(t, s), "file", data)
	b := dialAs(t, s, newKey(t, s, b2test.Key{ID: "reader", Capabilities: []string{"readFiles", "listBuckets"}}), nil)
	requireDownload(t, data, open(t, b, "file"))
	_, err := streamed(t.Context(), b, "other", data)
	require.ErrorContains(t, err, "the key lacks the capability writeFiles")
	require.Zero(t, s.Count("b2_get_upload_url")-1, "nothing was asked for but by the first upload")
}

func TestTheEndOfTheContextEndsADownload(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	store(t, b, "file", content(10_000))
	inject(t, s, b2test.Fault{Call: byID, Kind: b2test.Stall}, b2test.Fault{Call: byName, Kind: b2test.Truncate})
	ctx, cancel := context.WithCancel(t.Context())
	d, err := b.Open(ctx, "file")
	require.NoError(t, err)
	defer d.Close()
	go func() {
		for s.Fired()[0] == 0 { // until it hangs
			<-time.After(time.Millisecond)
		}
		cancel()
	}()
	_, err = io.ReadAll(d)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAClosedDownloadReadsNothing(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	store(t, b, "file", content(10))
	d := open(t, b, "file")
	require.NoError(t, d.Close())
	_, err := d.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestADownloadIsSentOnlyWhereCredentialsMayGo(t *testing.T) {
	s := newServer(t, nil)
	rt := exchange.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		require.NotContains(t, req.URL.Host, "evil")
		resp, err := rt.RoundTrip(req)
		if err == nil && strings.HasSuffix(req.URL.Path, "b2_authorize_account") {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			i := bytes.Index(body, []byte(`"downloadUrl"`))
			require.Positive(t, i)
			j := i + bytes.IndexByte(body[i:], ',')
			body = append(append(append([]byte{}, body[:i]...), `"downloadUrl": "http://evil.test"`...), body[j:]...)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return resp, err
	})})
	_, err := b.Open(t.Context(), "file")
	require.ErrorContains(t, err, "plain http would show the credentials")
}

// An answer that is not about the bytes asked for is tried again, and never taken.
func TestADownloadTakesNoOtherBytesThanItAskedFor(t *testing.T) {
	for want, change := range map[string]func(*http.Response){
		"no file id":             func(r *http.Response) { r.Header.Del("X-Bz-File-Id") },
		`of file "other"`:        func(r *http.Response) { r.Header.Set("X-Bz-File-Id", "other") },
		"status 200, not 206":    func(r *http.Response) { r.StatusCode = 200 },
		`("bytes 0-9999/10000")`: func(r *http.Response) { r.Header.Set("Content-Range", "bytes 0-9999/10000") },
		"4999 bytes (":           func(r *http.Response) { r.ContentLength-- },
		"no length":              func(r *http.Response) { r.ContentLength = -1 },
	} {
		t.Run(want, func(t *testing.T) {
			s := newServer(t, nil)
			data := content(10_000)
			store(t, dial(t, s), "file", data)
			inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Truncate})
			rt := exchange.NewTransport()
			t.Cleanup(rt.CloseIdleConnections)
			resumed := 0
			b := dialAs(t, s, mainKey(s), &b2backend.Options{
				Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond},
				Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
					resp, err := rt.RoundTrip(req)
					if err == nil && strings.HasSuffix(req.URL.Path, byID) {
						resumed++
						change(resp)
					}
					return resp, err
				}),
			})
			got, err := io.ReadAll(open(t, b, "file"))
			require.ErrorContains(t, err, "unusable answer")
			require.ErrorContains(t, err, want)
			require.Equal(t, data[:5000], got)
			require.Equal(t, 3, resumed)
		})
	}
}

func TestNoSecretLeavesADownload(t *testing.T) {
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	for way, name := range leakyWays {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			b, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id", Key: "CANARY-APPLICATION-KEY"}, "bucket", &b2backend.Options{
				Transport: &leaky{way: way, only: "file"}, Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond},
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			require.NoError(t, err)
			d, err := b.With(b2backend.FileOptions{Encryption: encryption}).Open(t.Context(), "file")
			require.Error(t, err)
			requireNoCanary(t, printed(err)+printed(d)+log.String())
		})
	}
}

// tampering is a transport that changes the bodies of downloads by name.
func tampering(t *testing.T, change func(req *http.Request, body io.Reader) io.Reader) http.RoundTripper {
	rt := exchange.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		if err == nil && strings.HasPrefix(req.URL.Path, "/file/") {
			resp.Body = struct {
				io.Reader
				io.Closer
			}{change(req, resp.Body), resp.Body}
		}
		return resp, err
	})
}

// readerFunc is a reader made of a function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
