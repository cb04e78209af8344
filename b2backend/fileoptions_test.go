package b2backend_test

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// object asks the service itself for a file.
func object(t *testing.T, s *b2test.Server, id string) map[string]any {
	post := func(method, url, authorization, body string) map[string]any {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var answer map[string]any
		require.NoError(t, json.Unmarshal(data, &answer), "%s", data)
		return answer
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.KeyID()+":"+s.Key()))
	login := post(http.MethodGet, s.URL()+"/b2api/v2/b2_authorize_account", basic, "")
	return post(http.MethodPost, login["apiUrl"].(string)+"/b2api/v2/b2_get_file_info", login["authorizationToken"].(string), `{"fileId":"`+id+`"}`)
}

// All options reach the service alike by a single upload and by a large file.
func TestFileOptionsAreStored(t *testing.T) {
	s := newServer(t, &b2test.Options{CustomTimestamps: true})
	_, err := s.AddBucket(b2test.Bucket{Name: "locked-bucket", FileLock: true})
	require.NoError(t, err)
	b, err := b2backend.New(t.Context(), mainKey(s), "locked-bucket", &b2backend.Options{Endpoint: s.URL(), Retry: swift})
	require.NoError(t, err)
	until := time.UnixMilli(s.Now().Add(time.Hour).UnixMilli())
	handle := func(whole [sha1.Size]byte) *b2backend.Backend {
		return b.With(b2backend.FileOptions{
			LastModified:       time.UnixMilli(1234567890123),
			LargeFileSHA1:      strings.ToUpper(hexOf(whole[:])),
			ContentDisposition: `attachment; filename="a b.tar"`,
			ContentLanguage:    "de",
			ContentEncoding:    "zstd",
			CacheControl:       "no-store",
			Expires:            time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
			UploadTimestamp:    time.UnixMilli(1600000000000),
			Retention:          b2backend.Retention{Mode: b2backend.Governance, Until: until},
			LegalHold:          b2backend.HoldOn,
			Encryption:         b2backend.EncryptB2(),
		})
	}
	for _, size := range []int{10, 2 * minPart} {
		data := testutil.Content(size)
		whole := sha1.Sum(data)
		opts := &sluice.Options{
			ContentType: "application/x-tar", Metadata: map[string]string{"Own": "ü + %", "b2-content-language": "de"},
			PageSize: minPart, PartSize: minPart, MaxSize: 1000 * minPart, MemoryLimit: 64 * minPart,
		}
		file, err := sluice.Upload(t.Context(), handle(whole), "dir/ü + %.tar", opts, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		require.NoError(t, err)
		got := object(t, s, file.ID)
		info := got["fileInfo"].(map[string]any)
		require.Len(t, info["sluice-id"], 26)
		delete(info, "sluice-id")
		want := map[string]any{
			"src_last_modified_millis": "1234567890123",
			"b2-content-disposition":   `attachment; filename="a b.tar"`,
			"b2-content-language":      "de",
			"b2-content-encoding":      "zstd",
			"b2-cache-control":         "no-store",
			"b2-expires":               "Wed, 02 Jan 2030 03:04:05 GMT",
			"own":                      "ü + %",
		}
		if size > minPart {
			want["large_file_sha1"] = hexOf(whole[:])
		}
		require.Equal(t, want, info)
		require.Equal(t, "dir/ü + %.tar", got["fileName"])
		require.Equal(t, "application/x-tar", got["contentType"])
		require.Equal(t, 1600000000000.0, got["uploadTimestamp"])
		require.Equal(t, map[string]any{"mode": "governance", "retainUntilTimestamp": float64(until.UnixMilli())}, got["fileRetention"].(map[string]any)["value"])
		require.Equal(t, "on", got["legalHold"].(map[string]any)["value"])
		require.Equal(t, map[string]any{"mode": "SSE-B2", "algorithm": "AES256"}, got["serverSideEncryption"])
	}
}

func TestACustomersKeyGoesWithEveryPart(t *testing.T) {
	s := newServer(t, nil)
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	b := dial(t, s).With(b2backend.FileOptions{Encryption: encryption})
	for _, size := range []int{10, 3 * minPart} {
		file, err := streamed(t.Context(), b, "file", testutil.Content(size))
		require.NoError(t, err)
		require.Equal(t, "SSE-C", object(t, s, file.ID)["serverSideEncryption"].(map[string]any)["mode"])
	}
}

func TestByDefaultTheServiceChoosesTheContentType(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	for _, size := range []int{10, 3 * minPart} {
		file, err := streamed(t.Context(), b, "page.txt", testutil.Content(size))
		require.NoError(t, err)
		require.Equal(t, "text/plain", object(t, s, file.ID)["contentType"])
	}
}

func TestAnUntaggedFileCarriesNoTag(t *testing.T) {
	s := newServer(t, nil)
	file, err := streamed(t.Context(), dial(t, s).With(b2backend.FileOptions{OmitSluiceID: true}), "file", testutil.Content(10))
	require.NoError(t, err)
	require.Empty(t, object(t, s, file.ID)["fileInfo"])
}

// Ten keys were the most, and may be still. The tag is not the eleventh.
func TestTenKeysAreTakenByTheOldLimits(t *testing.T) {
	s := newServer(t, &b2test.Options{Uncertain: b2test.Uncertain{OldLimits: true}})
	b := dial(t, s)
	info := map[string]string{}
	for n := range 10 {
		info[fmt.Sprint("k", n)] = "v"
	}
	_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "file", Metadata: info}, part(0, nil))
	require.NoError(t, err)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "file", Size: sluice.UnknownSize, Metadata: info})
	require.NoError(t, err)
	require.NoError(t, f.Cancel(t.Context()))
	delete(info, "k9")
	_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "file", Metadata: info}, part(0, nil))
	require.NoError(t, err)
	stored, err := s.File(s.Bucket(), "file")
	require.NoError(t, err)
	require.Contains(t, stored.Info, "sluice-id")
}

func TestAHandleDoesNotChangeTheOther(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	_ = b.With(b2backend.FileOptions{CacheControl: "no-store"})
	file, err := b.With(b2backend.FileOptions{}).UploadFile(t.Context(), sized("file", 0), part(0, nil))
	require.NoError(t, err)
	require.NotContains(t, object(t, s, file.ID)["fileInfo"], "b2-cache-control")
}
