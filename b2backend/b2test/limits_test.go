package b2test_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestRestrictedKeyTouchesNoFileOutsideItsPrefix(t *testing.T) {
	s := newServer(t, nil)
	all := login(t, s)
	outside, inside := all.upload("data/x", "abc").str("fileId"), all.upload("logs/x", "abc").str("fileId")
	large := all.start("data/large")
	k, err := s.AddKey(b2test.Key{NamePrefix: "logs/"})
	require.NoError(t, err)
	c := loginAs(t, s, k)
	for _, tc := range []struct {
		call string
		in   fields
	}{
		{"b2_get_file_info", fields{"fileId": outside}},
		{"b2_delete_file_version", fields{"fileId": outside, "fileName": "data/x"}},
		{"b2_copy_file", fields{"sourceFileId": outside, "fileName": "logs/y"}},
		{"b2_copy_file", fields{"sourceFileId": inside, "fileName": "data/y"}},
		{"b2_copy_part", fields{"sourceFileId": inside, "largeFileId": large, "partNumber": 1}},
		{"b2_hide_file", fields{"bucketId": c.bucket, "fileName": "data/x"}},
		{"b2_get_upload_part_url", fields{"fileId": large}},
		{"b2_list_parts", fields{"fileId": large}},
		{"b2_finish_large_file", fields{"fileId": large, "partSha1Array": []string{}}},
		{"b2_cancel_large_file", fields{"fileId": large}},
		{"b2_list_file_names", fields{"bucketId": c.bucket}},
		{"b2_list_file_versions", fields{"bucketId": c.bucket, "prefix": "log"}},
		{"b2_get_download_authorization", fields{"bucketId": c.bucket, "fileNamePrefix": "", "validDurationInSeconds": 1}},
	} {
		c.refused(tc.call, tc.in, 401, "unauthorized", "")
	}
	require.Equal(t, 401, c.download(http.MethodGet, "/file/"+s.Bucket()+"/data/x").status)
	require.Equal(t, 200, c.download(http.MethodGet, "/file/"+s.Bucket()+"/logs/x").status)
}

func TestRestrictedKeyMakesNoBuckets(t *testing.T) {
	s := newServer(t, nil)
	k, err := s.AddKey(b2test.Key{Buckets: []string{s.Bucket()}})
	require.NoError(t, err)
	loginAs(t, s, k).refused("b2_create_bucket",
		fields{"accountId": s.AccountID(), "bucketName": "new-bucket", "bucketType": "allPrivate"}, 401, "unauthorized", "")
}

func TestStartRefusesBadFields(t *testing.T) {
	s := newServer(t, nil)
	locked, err := s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(t, err)
	c := login(t, s)
	key, digest := customerKey()
	until := time.Now().UnixMilli()
	for i, tc := range []struct {
		change fields
		status int
	}{
		{fields{}, 200},
		{fields{"contentType": "arbitrarystring"}, 200},
		{fields{"contentType": ""}, 415},
		{fields{"contentType": "  "}, 415},
		{fields{"contentType": "a/\x7f"}, 415},
		{fields{"contentType": "ä/b"}, 415},
		{fields{"contentType": nil}, 400},
		{fields{"bucketId": "ffffffffffffffffffffffff"}, 400},
		{fields{"legalHold": "perhaps"}, 400},
		{fields{"legalHold": "on"}, 200},
		{fields{"fileRetention": fields{"mode": "governance"}}, 400},
		{fields{"fileRetention": fields{"retainUntilTimestamp": until}}, 400},
		{fields{"fileRetention": fields{"mode": "other", "retainUntilTimestamp": until}}, 400},
		{fields{"fileRetention": fields{"mode": "compliance", "retainUntilTimestamp": until}}, 200},
		{fields{"fileRetention": fields{"mode": "compliance", "retainUntilTimestamp": until, "unheardOf": 1}}, 400},
		{fields{"fileRetention": fields{"mode": 7}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-B2"}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-X", "algorithm": "AES256"}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-B2", "algorithm": "AES256", "customerKey": key}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-C", "algorithm": "AES256"}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-C", "algorithm": "AES256", "customerKey": "c2hvcnQ=", "customerKeyMd5": digest}}, 400},
		{fields{"serverSideEncryption": fields{"mode": "SSE-C", "algorithm": "AES256", "customerKey": key, "customerKeyMd5": digest}}, 200},
	} {
		in := fields{"bucketId": locked.ID, "fileName": "n", "contentType": "a/b"}
		maps.Copy(in, tc.change)
		a := c.call("b2_start_large_file", in)
		require.Equal(t, tc.status, a.status, "case %d: %s", i, a.raw)
	}
}

func TestUploadRefusesBadHeaders(t *testing.T) {
	c := login(t, newServer(t, nil))
	const customer = "X-Bz-Server-Side-Encryption-Customer-Algorithm"
	for _, pair := range [][]string{
		{"X-Bz-Info-K", "%zz"},
		{"X-Bz-Server-Side-Encryption", "DES"},
		{"X-Bz-Server-Side-Encryption", "AES256", customer, "AES256"},
		{"X-Bz-File-Retention-Retain-Until-Timestamp", "soon"},
	} {
		a := c.uploadTo(c.fileURL(), "f", "x", pair...)
		require.Equal(t, 400, a.status, "%v %s", pair, a.raw)
	}
	require.Equal(t, 400, c.partTo(c.partURL(c.start("l")), 1, "x", "X-Bz-Server-Side-Encryption", "AES256").status,
		"encryption by the service is asked for at start")
}

func TestRetentionEnds(t *testing.T) {
	s := newServer(t, nil)
	locked, err := s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(t, err)
	c := login(t, s)
	c.bucket = locked.ID
	id := c.upload("f", "x", "X-Bz-File-Retention-Mode", "compliance",
		"X-Bz-File-Retention-Retain-Until-Timestamp", fmt.Sprint(s.Now().Add(time.Hour).UnixMilli())).str("fileId")
	remove := fields{"fileName": "f", "fileId": id, "bypassGovernance": true}
	require.Equal(t, "access_denied", c.call("b2_delete_file_version", remove).str("code"), "compliance has no bypass")
	s.Advance(time.Hour)
	c.must("b2_delete_file_version", remove)
}

func TestDownloadAuthorizationIsForItsBucket(t *testing.T) {
	s := newServer(t, nil)
	other, err := s.AddBucket(b2test.Bucket{Name: "other-bucket"})
	require.NoError(t, err)
	c := login(t, s)
	c.upload("f", "x")
	a := c.must("b2_get_download_authorization", fields{"bucketId": other.ID, "fileNamePrefix": "", "validDurationInSeconds": 60})
	c.token = a.str("authorizationToken")
	require.Equal(t, 401, c.download(http.MethodGet, "/file/"+s.Bucket()+"/f").status)
}

func TestEmptySourceIsNoPart(t *testing.T) {
	c := login(t, newServer(t, nil))
	src := c.upload("empty", "").str("fileId")
	require.Equal(t, 400, c.call("b2_copy_part", fields{"sourceFileId": src, "largeFileId": c.start("l"), "partNumber": 1}).status)
}

func TestDiscardingServerCannotCopyARange(t *testing.T) {
	s := newServer(t, &b2test.Options{Discard: true, MinPartSize: 10})
	c := login(t, s)
	src, large := c.upload("src", "abc").str("fileId"), c.large("l", ten, "x")
	require.Equal(t, 500, c.call("b2_copy_file", fields{"sourceFileId": src, "fileName": "n", "range": "bytes=0-1"}).status)
	require.Equal(t, 500, c.call("b2_copy_file", fields{"sourceFileId": large, "fileName": "n"}).status)
	require.Equal(t, sum("abc"), c.must("b2_copy_file", fields{"sourceFileId": src, "fileName": "n"}).str("contentSha1"))
}

func TestFilesLeaveOutWhatIsUnfinished(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("f", "x")
	c.start("l")
	require.Len(t, s.Files(s.Bucket()), 1)
	require.Len(t, s.Unfinished(), 1)
	_, err := s.File(s.Bucket(), "l")
	require.ErrorContains(t, err, `no file "l"`)
	_, err = s.File("unknown", "l")
	require.ErrorContains(t, err, `no bucket "unknown"`)
}
