package b2test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestAuthorizeShapeFollowsTheVersion(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	k, err := s.AddKey(b2test.Key{Capabilities: []string{"writeFiles"}, Buckets: []string{s.Bucket()}, NamePrefix: "logs/"})
	require.NoError(t, err)
	for version := 1; version <= 4; version++ {
		a := c.authorize(version, k)
		require.Equal(t, 200, a.status)
		require.Equal(t, s.AccountID(), a.str("accountId"))
		require.Len(t, a.str("authorizationToken"), 77)
		where := a.body
		if version > 2 {
			where = a.body["apiInfo"].(fields)["storageApi"].(fields)
			require.Contains(t, a.body, "applicationKeyExpirationTimestamp")
			require.Nil(t, a.body["applicationKeyExpirationTimestamp"])
		}
		require.EqualValues(t, 5_000_000, where["absoluteMinimumPartSize"])
		require.EqualValues(t, 100_000_000, where["recommendedPartSize"])
		allowed := where
		if version != 3 {
			allowed = where["allowed"].(fields)
		}
		require.Equal(t, []any{"writeFiles"}, allowed["capabilities"])
		require.Equal(t, "logs/", allowed["namePrefix"])
		if version == 4 {
			require.Equal(t, []any{fields{"id": s.BucketID(), "name": s.Bucket()}}, allowed["buckets"])
			require.NotContains(t, where, "infoType")
			continue
		}
		require.Equal(t, s.BucketID(), allowed["bucketId"])
		_, named := allowed["bucketName"]
		require.Equal(t, version > 1, named)
	}
}

func TestBadLoginHasAnEmptyMessage(t *testing.T) {
	s := newServer(t, nil)
	a := login(t, s).authorize(2, b2test.Key{ID: s.KeyID(), Secret: "wrong"})
	requireError(t, a, 401, "bad_auth_token", "")
	require.Len(t, a.raw, 64) // recorded
	require.Equal(t, `BASIC realm="authorize_account"`, a.header.Get("WWW-Authenticate"))
}

func TestMultiBucketKeyNeedsVersion4(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	k, err := s.AddKey(b2test.Key{Buckets: []string{s.Bucket()}, MultiBucket: true})
	require.NoError(t, err)
	for version := 1; version <= 3; version++ {
		requireError(t, c.authorize(version, k), 400, "bad_request",
			fmt.Sprintf("This request is not currently supported on API version number %d", version))
	}
	require.Equal(t, 200, c.authorize(4, k).status)
}

func TestAccountTokenExpiresAfterADay(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	s.Advance(24*time.Hour - time.Minute)
	c.fileURL()
	s.Advance(time.Minute)
	c.refused("b2_get_upload_url", fields{"bucketId": c.bucket}, 401, "expired_auth_token", "Authorization token has expired")
}

func TestUploadURLExpiresAfterADay(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	u := c.fileURL()
	s.Advance(24 * time.Hour)
	requireError(t, c.uploadTo(u, "a", "x"), 401, "expired_auth_token", "Authorization token has expired")
}

func TestTokensExpireByForce(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	u := c.fileURL()
	s.ExpireAccountTokens()
	c.refused("b2_get_upload_url", fields{"bucketId": c.bucket}, 401, "expired_auth_token", "Authorization token has expired")
	require.Equal(t, 200, c.uploadTo(u, "a", "x").status, "the upload URL outlives the account token")
	s.ExpireUploadTokens()
	requireError(t, c.uploadTo(u, "a", "x"), 401, "expired_auth_token", "Authorization token has expired")
}

func TestTokensAreGoodForTheirOwnKindOnly(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	u := c.fileURL()
	part := c.partURL(c.start("large"))
	account := c.token

	for _, token := range []string{"", "4_unknown", u.token} {
		c.token = token
		a := c.call("b2_get_upload_url", fields{"bucketId": c.bucket})
		require.Equal(t, 401, a.status, "%s", a.raw)
	}
	c.token = account
	requireError(t, c.uploadTo(uploadURL{u.url, part.token}, "a", "x"), 401, "bad_auth_token", "Invalid authorization token")
	requireError(t, c.uploadTo(uploadURL{u.url, account}, "a", "x"), 401, "bad_auth_token", "Invalid authorization token")
	require.ErrorContains(t, s.Check(), "account token sent to an upload host")
}

func TestKeysNeedTheCapabilityOfTheCall(t *testing.T) {
	s := newServer(t, small())
	all := login(t, s)
	id := all.upload("f", "abc").str("fileId")
	large := all.start("l")
	calls := []struct {
		call, capability string
		in               fields
	}{
		{"b2_list_buckets", "listBuckets", fields{"accountId": s.AccountID()}},
		{"b2_get_upload_url", "writeFiles", fields{"bucketId": s.BucketID()}},
		{"b2_get_upload_part_url", "writeFiles", fields{"fileId": large}},
		{"b2_start_large_file", "writeFiles", fields{"bucketId": s.BucketID(), "fileName": "n", "contentType": "a/b"}},
		{"b2_list_parts", "writeFiles", fields{"fileId": large}},
		{"b2_hide_file", "writeFiles", fields{"bucketId": s.BucketID(), "fileName": "f"}},
		{"b2_list_unfinished_large_files", "listFiles", fields{"bucketId": s.BucketID()}},
		{"b2_list_file_names", "listFiles", fields{"bucketId": s.BucketID()}},
		{"b2_list_file_versions", "listFiles", fields{"bucketId": s.BucketID()}},
		{"b2_get_file_info", "readFiles", fields{"fileId": id}},
		{"b2_cancel_large_file", "writeFiles", fields{"fileId": large}},
		{"b2_delete_file_version", "deleteFiles", fields{"fileName": "f", "fileId": id}},
	}
	for _, tc := range calls {
		t.Run(tc.call, func(t *testing.T) {
			without, err := s.AddKey(b2test.Key{Capabilities: []string{"other"}})
			require.NoError(t, err)
			loginAs(t, s, without).refused(tc.call, tc.in, 401, "unauthorized", "")
			with, err := s.AddKey(b2test.Key{Capabilities: []string{tc.capability}})
			require.NoError(t, err)
			loginAs(t, s, with).must(tc.call, tc.in)
		})
	}
}

func TestRestrictedKeyKeepsToItsBucketAndPrefix(t *testing.T) {
	s := newServer(t, nil)
	other, err := s.AddBucket(b2test.Bucket{Name: "other-bucket"})
	require.NoError(t, err)
	k, err := s.AddKey(b2test.Key{Buckets: []string{s.Bucket()}, NamePrefix: "logs/"})
	require.NoError(t, err)
	c := loginAs(t, s, k)

	c.refused("b2_get_upload_url", fields{"bucketId": other.ID}, 401, "unauthorized", "")
	start := fields{"bucketId": c.bucket, "fileName": "data/x", "contentType": "a/b"}
	c.refused("b2_start_large_file", start, 401, "unauthorized", "")
	requireError(t, c.uploadTo(c.fileURL(), "data/x", "x"), 401, "unauthorized", "")
	c.refused("b2_list_unfinished_large_files", fields{"bucketId": c.bucket}, 401, "unauthorized", "")
	c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "namePrefix": "logs/2026"})
	start["fileName"] = "logs/x"
	c.must("b2_start_large_file", start)

	c.refused("b2_list_buckets", fields{"accountId": s.AccountID()}, 401, "unauthorized", "")
	c.refused("b2_list_buckets", fields{"accountId": s.AccountID(), "bucketName": "other-bucket"}, 401, "unauthorized", "")
	c.must("b2_list_buckets", fields{"accountId": s.AccountID(), "bucketName": s.Bucket()})
}

func TestHostsAreNotInterchangeable(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	const text = "Wrong host name for request"
	authorizeURL, apiURL, downloadURL := s.URL(), c.api, c.down
	body := fmt.Sprintf(`{"bucketId":%q}`, c.bucket)

	requireError(t, c.post(authorizeURL+"/b2api/v2/b2_get_upload_url", body), 400, "bad_request", text)
	requireError(t, c.post(downloadURL+"/b2api/v2/b2_get_upload_url", body), 400, "bad_request", text)
	u := c.fileURL()
	path := u.url[strings.Index(u.url, "/b2api"):]
	requireError(t, c.uploadTo(uploadURL{apiURL + path, u.token}, "a", "x"), 400, "bad_request", text)
	id := c.upload("a", "x").str("fileId")
	c.down = apiURL
	requireError(t, c.download(http.MethodGet, "/b2api/v2/b2_download_file_by_id?fileId="+id), 400, "bad_request", text)
	c.down = u.url[:strings.Index(u.url, "/b2api")]
	requireError(t, c.download(http.MethodGet, "/file/"+s.Bucket()+"/a"), 400, "bad_request", text)
}

// Clients that are in use, python3-b2sdk 1.17 among them, ask the API's host.
func TestAPIHostServesDownloadsByName(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("a", "abc")
	c.down = c.api
	head := c.download(http.MethodHead, "/file/"+s.Bucket()+"/a")
	require.Equal(t, 200, head.status)
	require.Equal(t, "3", head.header.Get("Content-Length"))
	require.Equal(t, sum("abc"), head.header.Get("X-Bz-Content-Sha1"))
	require.Equal(t, "abc", string(c.download(http.MethodGet, "/file/"+s.Bucket()+"/a").raw))
	require.Equal(t, 404, c.download(http.MethodHead, "/file/"+s.Bucket()+"/none").status)
	c.token = "4_unknown"
	require.Equal(t, 401, c.download(http.MethodHead, "/file/"+s.Bucket()+"/a").status)
}

func TestRemoveKey_EndsItsTokens(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	url := c.fileURL()
	require.NoError(t, s.RemoveKey(s.KeyID()))
	requireError(t, c.uploadTo(url, "f", "x"), 401, "expired_auth_token", "Authorization token has expired")
	requireError(t, c.call("b2_list_buckets", fields{"accountId": s.AccountID()}), 401, "expired_auth_token", "Authorization token has expired")
	require.EqualError(t, s.RemoveKey("none"), `b2test: no key "none"`)
}
