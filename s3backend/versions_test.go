package s3backend

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// versioned is a bucket that keeps versions, with one file.
type versioned struct {
	mu       sync.Mutex
	versions [][]byte // oldest first; nil is one that was removed
	replace  []byte   // becomes the newest version at the next GetObject, unless nil
	requests []*http.Request
}

func (v *versioned) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, r)
	if callOf(r) == "GetObject" && v.replace != nil {
		v.versions, v.replace = append(v.versions, v.replace), nil
	}
	n := len(v.versions)
	if id := r.URL.Query().Get("versionId"); id != "" {
		_, _ = fmt.Sscanf(id, "v%d", &n)
	}
	if r.URL.Path != "/f" || n < 1 || n > len(v.versions) || v.versions[n-1] == nil {
		return modelError(r, 404, "NoSuchVersion"), nil
	}
	if r.Method == http.MethodDelete {
		v.versions[n-1] = nil
		return response(204, ""), nil
	}
	o := modelObject{data: v.versions[n-1], tag: fmt.Sprintf(`"tag of %d"`, n), sum: crc64Checksum}
	if want := r.Header.Get("If-Match"); want != "" && want != o.tag {
		return modelError(r, 412, "PreconditionFailed"), nil
	}
	resp := o.answer("")
	if r.Method == http.MethodGet {
		resp = o.read(r)
	}
	resp.Header.Set("X-Amz-Version-Id", fmt.Sprintf("v%d", n))
	return resp, nil
}

func TestVersions_AReplacedFileIsReadToItsEnd(t *testing.T) {
	first, second := testutil.Content(3<<20), testutil.Content(3<<20+1)
	v := &versioned{versions: [][]byte{first}, replace: second}
	b := canned(t, Options{}, v.RoundTrip)
	var got bytes.Buffer
	f, err := sluice.Download(t.Context(), b, "f", &got, &sluice.ReadOptions{RangeSize: 1 << 20})
	require.NoError(t, err)
	require.True(t, bytes.Equal(first, got.Bytes()), "another version")
	require.Equal(t, "v1", f.ID)
	f, err = b.Stat(t.Context(), "f")
	require.NoError(t, err)
	require.Equal(t, "v2", f.ID)
	require.EqualValues(t, len(second), f.Size)
}

// Once its version is gone, a file that was replaced is an error.
func TestVersions_ARemovedVersionIsNotReplacedByTheNewest(t *testing.T) {
	v := &versioned{versions: [][]byte{testutil.Content(16 << 20)}, replace: testutil.Content(16 << 20)}
	b := canned(t, Options{}, v.RoundTrip)
	r, err := sluice.NewReader(t.Context(), b, "f", &sluice.ReadOptions{RangeSize: 1 << 20, Concurrency: 1, MemoryLimit: 2 << 20})
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 1))
	require.NoError(t, err)
	v.mu.Lock()
	v.versions[0] = nil
	v.mu.Unlock()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, r.Close())
}

func TestVersions_RemoveRemovesTheVersionOfStat(t *testing.T) {
	first := []byte("first")
	v := &versioned{versions: [][]byte{first}}
	b := canned(t, Options{}, v.RoundTrip)
	f, err := b.Stat(t.Context(), "f")
	require.NoError(t, err)
	v.versions = append(v.versions, []byte("second"))
	require.NoError(t, b.Remove(t.Context(), f))
	require.Nil(t, v.versions[0])
	require.NotNil(t, v.versions[1])
	require.ErrorIs(t, b.Remove(t.Context(), f), fs.ErrNotExist)
}

// A file with a customer's key is read by requests that all have it.
func TestCustomerKey_IsInEveryRequestOfARestore(t *testing.T) {
	key, err := EncryptCustomer(bytes.Repeat([]byte("k"), 32))
	require.NoError(t, err)
	v := &versioned{versions: [][]byte{testutil.Content(3 << 20)}}
	b := canned(t, Options{}, v.RoundTrip).With(FileOptions{Encryption: key})
	var got bytes.Buffer
	_, err = sluice.Download(t.Context(), b, "f", &got, &sluice.ReadOptions{RangeSize: 1 << 20})
	require.NoError(t, err)
	require.True(t, bytes.Equal(v.versions[0], got.Bytes()))
	f, err := b.Stat(t.Context(), "f")
	require.NoError(t, err)
	_, err = b.attributes(t.Context(), &f)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(v.requests), 6)
	for _, r := range v.requests {
		require.Equal(t, "AES256", r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm"), "%s", callOf(r))
		require.NotEmpty(t, r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key"))
		require.NotEmpty(t, r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key-Md5"))
	}
}

// Without a version the store would only hide the file, and go on billing it.
func TestRemove_RemovesTheVersionOfAnEntryOfAList(t *testing.T) {
	v := &versioned{versions: [][]byte{testutil.Content(1), testutil.Content(2)}}
	b := canned(t, Options{}, v.RoundTrip)
	listed := sluice.StoredFile{File: sluice.File{ID: "tag of 2", Name: "f"}, ETag: `"tag of 2"`}
	require.NoError(t, b.Remove(t.Context(), listed))
	require.Equal(t, "versionId=v2", v.requests[len(v.requests)-1].URL.RawQuery)
}
