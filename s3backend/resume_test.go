package s3backend

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// leave starts a large file and stores its first parts, as a killed program does.
func leave(t *testing.T, b *Backend, data []byte, parts int) {
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	for n := 1; n <= parts; n++ {
		_, err := f.UploadPart(t.Context(), part(n, data[(n-1)*minPart:n*minPart]))
		require.NoError(t, err)
	}
}

// replay resumes "a" with a whole stream.
func replay(t *testing.T, b *Backend, data []byte) (sluice.Stats, error) {
	o := &sluice.Options{MemoryLimit: 64 << 20, PartSize: minPart, Resume: true, KeepOnFailure: true}
	w, err := sluice.New(t.Context(), b, "a", o)
	require.NoError(t, err)
	_, err = w.Write(data)
	err = errors.Join(err, w.Close())
	return w.Stats(), err
}

// Where a store lists no checksums, the ETags of the parts are their MD5s.
func TestResume_ComparesETagsWhereNoChecksumsAreListed(t *testing.T) {
	key, err := EncryptCustomer(make([]byte, 32))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		kind    string
		options Options
		file    FileOptions
		reused  bool
	}{
		"MD5s":                     {"ETags", Options{}, FileOptions{}, true},
		"checksums":                {"checksums", Options{}, FileOptions{}, true},
		"a store's own ETags":      {"ETags of its own", Options{}, FileOptions{}, false},
		"told to be opaque":        {"ETags", Options{OpaqueETags: true}, FileOptions{}, false},
		"a key of the KMS":         {"ETags", Options{}, FileOptions{Encryption: EncryptKMS("")}, false},
		"a key of the customer":    {"ETags", Options{}, FileOptions{Encryption: key}, false},
		"a key of the store's own": {"ETags", Options{}, FileOptions{Encryption: EncryptS3()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := modelOf(c.kind)
			c.file.Unverified = []string{"Encryption"}
			b := canned(t, c.options, store.RoundTrip).With(c.file)
			data := testutil.Content(3*minPart + 5)
			leave(t, b, data, 2)
			stats, err := replay(t, b, data)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, store.object("a").data))
			want := int64(0)
			if c.reused {
				want = 2 * minPart
			}
			require.Equal(t, want, stats.Reused)
		})
	}
}

func TestResume_RejectsAnotherStreamByETags(t *testing.T) {
	store := modelOf("ETags")
	b := canned(t, Options{}, store.RoundTrip)
	leave(t, b, testutil.Content(2*minPart), 2)
	_, err := replay(t, b, bytes.Repeat([]byte("x"), 3*minPart))
	require.ErrorIs(t, err, sluice.ErrResumeMismatch)
	require.Equal(t, 1, store.unfinished(), "what is stored stays")
}

func TestChecksums_AreReadByTheirNames(t *testing.T) {
	for _, k := range kept {
		h := k.new()
		h.Write([]byte("data"))
		c := &checksums{}
		*c.by(k.name) = base64.StdEncoding.EncodeToString(h.Sum(nil))
		require.Equal(t, sluice.Digests{{Name: k.name, Sum: h.Sum(nil)}}, c.digests())
		*c.by(k.name) += "-2"
		require.Empty(t, c.digests(), "%s of the parts' digests", k.name)
	}
}

// strict is a store that wants the checksum that an upload was started with, or
// none, in every part and in the finish, and does not list it, as SeaweedFS.
func strict(store *model) testutil.RoundTripFunc {
	return func(r *http.Request) (*http.Response, error) {
		store.mu.Lock()
		u := store.uploads[r.URL.Query().Get("uploadId")]
		store.mu.Unlock()
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
			_ = r.Body.Close()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		if u != nil {
			want := u.header.Get("X-Amz-Checksum-Algorithm")
			for _, c := range kept {
				given := r.Header.Get(c.header) != "" || bytes.Contains(body, []byte("<Checksum"+strings.ToUpper(c.name)+">"))
				is := strings.EqualFold(want, c.name)
				if call := callOf(r); given && !is || !given && is && (call == "UploadPart" || call == "CompleteMultipartUpload") {
					return response(400, "<Error><Code>InvalidRequest</Code><Message>Checksum Type mismatch</Message></Error>"), nil
				}
			}
		}
		return store.RoundTrip(r)
	}
}

func TestResume_FindsOutWhatAnUploadWasStartedWith(t *testing.T) {
	data := testutil.Content(3*minPart + 5)
	for _, first := range []Checksum{ChecksumAuto, ChecksumNone} {
		for _, confirmed := range []bool{false, true} {
			store := modelOf("ETags")
			leave(t, canned(t, Options{Checksum: first}, strict(store)), data, 2)
			b := canned(t, Options{}, strict(store))
			if confirmed {
				b.client.protection.confirm(crc64Checksum)
			}
			stats, err := replay(t, b, data)
			require.NoError(t, err)
			require.EqualValues(t, 2*minPart, stats.Reused)
			require.Equal(t, crc64Checksum.name, b.client.protection.current().name, "it is about this upload alone")
		}
	}
}
