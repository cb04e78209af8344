package s3backend

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/minio/crc64nvme"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestJoinCRC_IsTheCRCOfTheBytesTogether(t *testing.T) {
	data := make([]byte, 1<<16)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	want := crc64nvme.Checksum(data)
	for range 1000 {
		n := rand.IntN(len(data) + 1)
		require.Equal(t, want, joinCRC(crc64nvme.Checksum(data[:n]), crc64nvme.Checksum(data[n:]), int64(len(data)-n)), "cut at %d", n)
	}
	// A run of zeros doubles with each step, up to sizes that are not computed directly.
	joined, zeros := crc64nvme.Checksum([]byte{7}), crc64nvme.Checksum([]byte{0})
	for n := int64(1); n < 1<<24; n <<= 1 {
		joined, zeros = joinCRC(joined, zeros, n), joinCRC(zeros, zeros, n)
	}
	require.Equal(t, crc64nvme.Checksum(append([]byte{7}, make([]byte, 1<<24-1)...)), joined)
}

func TestWholeChecksum_FollowsFromTheParts(t *testing.T) {
	data := testutil.Content(10_000)
	for range 100 {
		var parts []sluice.Receipt
		var sums [][]byte
		for at := 0; at < len(data); {
			n := min(1+rand.IntN(3000), len(data)-at)
			parts = append(parts, sluice.Receipt{Size: int64(n)})
			sums = append(sums, digest(crc64Checksum, data[at:at+n]))
			at += n
		}
		want := make(http.Header)
		crc64Checksum.set(want, digest(crc64Checksum, data))
		require.Equal(t, want.Get(crc64Checksum.header), crc64Checksum.whole(parts, sums))
		sums[0] = nil
		require.Empty(t, crc64Checksum.whole(parts, sums))
	}
	require.Empty(t, sha256Checksum.whole(nil, nil))
}

// filtered opens a bucket of a store behind a filter of its requests.
func filtered(t *testing.T, secure bool, o Options, store http.RoundTripper) (*Backend, *[]*http.Request) {
	var mu sync.Mutex
	requests := new([]*http.Request)
	b := canned(t, o, func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		*requests = append(*requests, r)
		mu.Unlock()
		return store.RoundTrip(r)
	})
	if secure {
		return b, requests
	}
	plain := newBackend(t, "http://localhost:1", "bucket", &Options{
		Checksum: o.Checksum, Logger: b.client.log, Transport: b.client.transport,
	})
	plain.client.base = url.URL{Scheme: "http", Host: "store.test"}
	return plain, requests
}

// last is the last request of a name.
func last(t *testing.T, requests []*http.Request, call string) *http.Request {
	for _, r := range slices.Backward(requests) {
		if callOf(r) == call {
			return r
		}
	}
	require.Failf(t, "no such request", "%s", call)
	return nil
}

// about are the headers of a request that are about checksums.
func about(r *http.Request) []string {
	var names []string
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || strings.HasPrefix(name, "X-Amz-Sdk-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// rejects is a store that rejects headers of some calls.
func rejects(store *model, status int, code, message string, does func(r *http.Request, header string) bool) testutil.RoundTripFunc {
	return func(r *http.Request) (*http.Response, error) {
		for _, name := range about(r) {
			if !does(r, name) {
				continue
			}
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
			}
			text := fmt.Sprintf("<Error><Code>%s</Code><Message>%s %s</Message></Error>", code, message, strings.ToLower(name))
			if r.Method == http.MethodHead {
				text = ""
			}
			return response(status, text), nil
		}
		return store.RoundTrip(r)
	}
}

func always(*http.Request, string) bool { return true }

func in(call string) func(*http.Request, string) bool {
	return func(r *http.Request, _ string) bool { return callOf(r) == call }
}

func ofCRC64(r *http.Request, header string) bool {
	return header == crc64Checksum.header || r.Header.Get("X-Amz-Checksum-Algorithm") == "CRC64NVME"
}

// Stores that reject or ignore checksums, as they were reported: B2's S3 endpoint
// rejects the headers by name, R2 rejected algorithms, and older stores ignore
// them.
func TestChecksumAuto_ServesEveryStore(t *testing.T) {
	const named = "Unsupported header"
	knows, ignores := modelOf("checksums"), modelOf("ETags")
	for name, c := range map[string]struct {
		store http.RoundTripper
		used  checksum // over https, when the store is known
		log   string
	}{
		"knows all":                   {knows, crc64Checksum, ""},
		"ignores checksums":           {ignores, crc64Checksum, "does not confirm"},
		"rejects the headers":         {rejects(ignores, 400, "InvalidArgument", named, always), noChecksum, "rejects checksums"},
		"has no such feature":         {rejects(ignores, 501, "NotImplemented", "not implemented:", always), noChecksum, "rejects checksums"},
		"rejects them with each part": {rejects(ignores, 400, "InvalidRequest", "Checksum Type mismatch", in("UploadPart")), noChecksum, "rejects checksums"},
		"rejects them at the finish":  {rejects(ignores, 400, "InvalidArgument", named, in("CompleteMultipartUpload")), noChecksum, "rejects checksums"},
		"rejects to tell them":        {rejects(knows, 400, "InvalidArgument", named, func(_ *http.Request, header string) bool { return header == modeHeader }), crc64Checksum, ""},
		"knows no CRC64NVME":          {rejects(ignores, 400, "InvalidRequest", "Checksum algorithm is unsupported:", ofCRC64), sha256Checksum, "rejects checksums"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, over TLS %v", name, secure), func(t *testing.T) {
				var log bytes.Buffer
				b, requests := filtered(t, secure, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, c.store)
				data := testutil.Content(2*minPart + 1)
				for _, n := range []int{10, len(data), 11} {
					_, err := stream(t.Context(), b, "a", data[:n])
					require.NoError(t, err)
					var got bytes.Buffer
					_, err = sluice.Download(t.Context(), b, "a", &got, nil)
					require.NoError(t, err)
					require.True(t, bytes.Equal(data[:n], got.Bytes()))
				}
				r := last(t, *requests, "PutObject")
				if !secure {
					require.NotEqual(t, unsigned, r.Header.Get("X-Amz-Content-Sha256"))
					return
				}
				if c.log == "" {
					require.Empty(t, log.String())
				} else {
					require.Equal(t, 1, strings.Count(log.String(), c.log), "%s", log.String())
				}
				var want []string
				if c.used.keeps() {
					want = []string{c.used.header}
				}
				require.Equal(t, want, about(r))
				require.Equal(t, c.used.keeps() && c.log == "", r.Header.Get("X-Amz-Content-Sha256") == unsigned, "bytes are signed unless the store computes checksums")
			})
		}
	}
}

func TestChecksum_SelectsWhatIsSent(t *testing.T) {
	for sum, first := range map[Checksum][]string{
		ChecksumAuto:      {crc64Checksum.header},
		ChecksumCRC64NVME: {crc64Checksum.header},
		ChecksumSHA256:    {sha256Checksum.header},
		ChecksumMD5:       nil,
		ChecksumNone:      nil,
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q, over TLS %v", string(sum), secure), func(t *testing.T) {
				headers := first
				if sum == ChecksumAuto && !secure {
					headers = []string{sha256Checksum.header}
				}
				p := newProxy(t, secure)
				b := newBackend(t, p.URL, newBucket(t), &Options{Checksum: sum, Transport: p.server.Client().Transport})
				data := testutil.Content(2*minPart + 1)
				large, err := stream(t.Context(), b, "large", data)
				require.NoError(t, err)
				_, err = stream(t.Context(), b, "small", data[:10])
				require.NoError(t, err)
				f, err := b.Stat(t.Context(), "large")
				require.NoError(t, err)
				for _, call := range []string{"UploadPart", "PutObject"} {
					r := p.last(t, call)
					require.Equal(t, headers, about(r))
					require.Equal(t, sum == ChecksumMD5, r.Header.Get("Content-Md5") != "")
					leaves := secure && slices.Contains(headers, crc64Checksum.header)
					require.Equal(t, leaves, r.Header.Get("X-Amz-Content-Sha256") == unsigned)
				}
				require.NotEqual(t, unsigned, p.last(t, "CompleteMultipartUpload").Header.Get("X-Amz-Content-Sha256"))
				if headers == nil {
					for _, r := range p.requests {
						require.Empty(t, about(r.Request), r.call)
					}
				}
				if slices.Contains(headers, crc64Checksum.header) {
					want := digest(crc64Checksum, data)
					require.Equal(t, want, large.Digests.Get("crc64nvme"), "the store's own of the whole file")
					require.Equal(t, want, f.Digests.Get("crc64nvme"), "and at restore")
				}

				bad := sluice.NewPart(0, data[:10], nil)
				for _, a := range b.Limits().PartDigests {
					bad.Digests = append(bad.Digests, sluice.Digest{Name: a.Name, Sum: make([]byte, a.New().Size())})
				}
				_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "bad", Size: 10}, bad)
				require.Error(t, err, "the store compares")
				requireAbsent(t, b, "bad")
			})
		}
	}
}

// One that was asked for is not replaced by another.
func TestChecksum_AskedForIsAnErrorWhereTheStoreRejectsIt(t *testing.T) {
	b, requests := filtered(t, true, Options{Checksum: ChecksumCRC64NVME}, rejects(newModel(), 400, "InvalidArgument", "Unsupported header", always))
	for _, n := range []int{10, minPart + 1} {
		_, err := stream(t.Context(), b, "a", testutil.Content(n))
		require.ErrorContains(t, err, "Unsupported header x-amz-checksum-")
	}
	require.Len(t, *requests, 2)
}

// A store that computes checksums rejects the bytes, and not the checksum.
func TestChecksumAuto_IsNotGivenUpForDamagedBytes(t *testing.T) {
	store := modelOf("checksums")
	for _, call := range []string{"UploadPart", "CompleteMultipartUpload"} {
		b, requests := filtered(t, true, Options{}, rejects(store, 400, "InvalidRequest", "checksum mismatch", in(call)))
		_, err := stream(t.Context(), b, "a", testutil.Content(2*minPart))
		require.ErrorContains(t, err, "checksum mismatch")
		require.NotEmpty(t, about(last(t, *requests, call)))
		require.Nil(t, store.object("a"))
	}
}

// The whole file's checksum in the answer to a finish is compared, and that of
// the file that is there.
func TestFinish_ComparesTheWholeChecksum(t *testing.T) {
	const other = "AAAAAAAAAAA="
	for _, everywhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := modelOf("checksums")
			b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
				resp, err := store.RoundTrip(r)
				switch {
				case callOf(r) == "CompleteMultipartUpload":
					resp = response(200, `<CompleteMultipartUploadResult><ETag>"t"</ETag>`+crc64Checksum.element(other)+`</CompleteMultipartUploadResult>`)
				case callOf(r) == "HeadObject" && everywhere:
					resp.Header.Set(crc64Checksum.header, other)
				}
				return resp, err
			})
			f, receipts := filled(t, b, false)
			file, err := f.Finish(t.Context(), receipts, nil)
			if everywhere {
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.ErrorContains(t, err, `has the checksum "`+other+`"`)
				return
			}
			require.NoError(t, err, "the file itself, which is looked at, has the right one")
			require.Equal(t, digest(crc64Checksum, wholeFile), file.Digests.Get("crc64nvme"))
		})
	}
}

func TestFinish_SendsTheWholeChecksum(t *testing.T) {
	store := modelOf("checksums")
	b, requests := filtered(t, true, Options{}, store)
	data := testutil.Content(2*minPart + 3)
	_, err := stream(t.Context(), b, "a", data)
	require.NoError(t, err)
	want := make(http.Header)
	crc64Checksum.set(want, digest(crc64Checksum, data))
	r := last(t, *requests, "CompleteMultipartUpload")
	require.Equal(t, want.Get(crc64Checksum.header), r.Header.Get(crc64Checksum.header))
	require.Equal(t, "FULL_OBJECT", r.Header.Get("X-Amz-Checksum-Type"))
	require.Equal(t, "FULL_OBJECT", last(t, *requests, "CreateMultipartUpload").Header.Get("X-Amz-Checksum-Type"))

	b = newBackend(t, server.URL, newBucket(t), &Options{Checksum: ChecksumCRC64NVME})
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	receipt, err := f.UploadPart(t.Context(), part(1, data[:10]))
	require.NoError(t, err)
	receipt.Digests = sluice.Digests{{Name: "crc64nvme", Sum: make([]byte, 8)}}
	_, err = f.Finish(t.Context(), []sluice.Receipt{receipt}, nil)
	require.Error(t, err, "the store compares")
	requireAbsent(t, b, "a")
	require.NoError(t, f.Cancel(t.Context()))
}

// An upload is resumed with the checksum that it was started with, whatever this
// run would choose.
func TestResume_GoesOnWithTheChecksumOfTheUpload(t *testing.T) {
	data := testutil.Content(3*minPart + 5)
	for _, first := range []Checksum{ChecksumSHA256, ChecksumCRC64NVME, ChecksumNone} {
		for _, second := range []Checksum{ChecksumAuto, ChecksumSHA256, ChecksumMD5, ChecksumNone} {
			t.Run(fmt.Sprintf("%s, then %s", first, second), func(t *testing.T) {
				p := newProxy(t, true)
				bucket := newBucket(t)
				o := Options{Checksum: first, Transport: p.server.Client().Transport}
				leave(t, newBackend(t, p.URL, bucket, &o), data, 2)
				o.Checksum = second
				b := newBackend(t, p.URL, bucket, &o)
				stats, err := replay(t, b, data)
				require.NoError(t, err)
				require.EqualValues(t, 2*minPart, stats.Reused)
				got, _ := contents(t, b, "a")
				require.True(t, bytes.Equal(data, got))
			})
		}
	}
}
