package b2test_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// names are the names, or another field, of the files in a listing.
func names(a answer, key string) []string {
	var out []string
	for _, f := range a.body["files"].([]any) {
		out = append(out, fmt.Sprint(f.(fields)[key]))
	}
	return out
}

func TestBucketsAreListedByNameAndFiltered(t *testing.T) {
	s := newServer(t, &b2test.Options{Bucket: "mmmmmm"})
	for _, b := range []b2test.Bucket{{Name: "zzzzzz", Public: true}, {Name: "aaaaaa"}} {
		_, err := s.AddBucket(b)
		require.NoError(t, err)
	}
	c := login(t, s)
	list := func(in fields) []string {
		in["accountId"] = s.AccountID()
		var out []string
		for _, b := range c.must("b2_list_buckets", in).body["buckets"].([]any) {
			out = append(out, b.(fields)["bucketName"].(string))
		}
		return out
	}
	require.Equal(t, []string{"aaaaaa", "mmmmmm", "zzzzzz"}, list(fields{}))
	require.Equal(t, []string{"mmmmmm"}, list(fields{"bucketName": "mmmmmm"}))
	require.Equal(t, []string{"mmmmmm"}, list(fields{"bucketId": s.BucketID()}))
	require.Equal(t, []string{"zzzzzz"}, list(fields{"bucketTypes": []string{"allPublic"}}))
	require.Empty(t, list(fields{"bucketName": "unknown"}))
	require.Equal(t, 400, c.call("b2_list_buckets", fields{"accountId": s.AccountID(), "bucketTypes": []string{"all", "allPublic"}}).status)
}

func TestBucketsAreMadeChangedAndDeleted(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	in := fields{"accountId": s.AccountID(), "bucketName": "new-bucket", "bucketType": "allPrivate"}
	id := c.must("b2_create_bucket", in).str("bucketId")
	c.refused("b2_create_bucket", in, 400, "duplicate_bucket_name", "Bucket name is already in use.")
	a := c.must("b2_update_bucket", fields{"accountId": s.AccountID(), "bucketId": id, "bucketType": "allPublic"})
	require.Equal(t, "allPublic", a.str("bucketType"))
	c.must("b2_delete_bucket", fields{"accountId": s.AccountID(), "bucketId": id})
	c.refused("b2_get_upload_url", fields{"bucketId": id}, 400, "bad_bucket_id", "Bucket "+id+" does not exist")
	c.upload("f", "x")
	require.Equal(t, 400, c.call("b2_delete_bucket", fields{"accountId": s.AccountID(), "bucketId": c.bucket}).status)
}

func TestCallsAboutAnotherAccountAreRefused(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	for _, call := range []string{"b2_list_buckets", "b2_create_bucket", "b2_update_bucket", "b2_delete_bucket"} {
		in := fields{"accountId": "0123456789ab"}
		switch call {
		case "b2_create_bucket":
			in["bucketName"], in["bucketType"] = "new-bucket", "allPrivate"
		case "b2_update_bucket", "b2_delete_bucket":
			in["bucketId"] = c.bucket
		}
		c.refused(call, in, 400, "bad_request", "Invalid accountId: 0123456789ab")
	}
	c.upload("f", "x")
}

func TestCallsThatAreNotImplementedSaySo(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	for _, call := range []string{"b2_get_bucket_notification_rules", "b2_set_bucket_notification_rules"} {
		c.refused(call, fields{}, 501, "not_implemented", "b2test does not implement "+call)
		k, err := s.AddKey(b2test.Key{Capabilities: []string{"other"}})
		require.NoError(t, err)
		loginAs(t, s, k).refused(call, fields{}, 501, "not_implemented", "b2test does not implement "+call)
	}
}

func TestUnfinishedAreListedOldestFirstFromAnID(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	var ids []string
	for _, name := range []string{"b", "a", "b", "ab"} {
		ids = append(ids, c.start(name))
		s.Advance(time.Second)
	}
	c.large("finished", ten, "x")
	c.cancel(c.start("cancelled"))
	a := c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket})
	require.Equal(t, ids, names(a, "fileId"))
	require.Contains(t, a.body, "nextFileName")
	require.Nil(t, a.body["nextFileName"])
	require.Nil(t, a.body["nextFileId"])

	a = c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "startFileId": ids[1], "maxFileCount": 2})
	require.Equal(t, ids[1:3], names(a, "fileId"), "startFileId is inclusive")
	require.Equal(t, ids[3], a.str("nextFileId"))

	c.cancel(ids[1])
	a = c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "startFileId": ids[1]})
	require.Equal(t, ids[2:], names(a, "fileId"), "a page goes on where a cancelled file was")

	a = c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "namePrefix": "a"})
	require.Equal(t, []string{"ab"}, names(a, "fileName"))
}

// pages walks a list file by file. before is called with each page that is
// followed by another, before that one is asked for.
func (c *client) pages(call string, in fields, before func(page answer)) []string {
	in["maxFileCount"] = 1
	var ids []string
	for len(ids) < 100 {
		a := c.must(call, in)
		ids = append(ids, names(a, "fileId")...)
		if a.body["nextFileId"] == nil {
			break
		}
		before(a)
		in["startFileId"] = a.body["nextFileId"]
		if name := a.body["nextFileName"]; name != nil {
			in["startFileName"] = name
		}
	}
	return ids
}

func TestPagesNeitherSkipNorRepeat(t *testing.T) {
	begun := time.Now()
	opts := small()
	opts.CustomTimestamps, opts.Now = true, func() time.Time { return begun }
	for _, tc := range []struct {
		name    string
		stamps  []int // of the files as they are started, 0 for none
		between time.Duration
		want    []int
	}{
		{"in one second", []int{0, 0, 0, 0}, 0, []int{0, 1, 2, 3}},
		{"with timestamps of their own", []int{0, 3000, 1000, 2000}, time.Second, []int{2, 3, 1, 0}},
		{"with one timestamp", []int{2000, 2000, 1000, 2000}, time.Second, []int{2, 0, 1, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, opts)
			c := login(t, s)
			var ids []string
			for _, stamp := range tc.stamps {
				in := fields{"bucketId": c.bucket, "fileName": "l", "contentType": "a/b"}
				if stamp > 0 {
					in["customUploadTimestamp"] = stamp
				}
				ids = append(ids, c.must("b2_start_large_file", in).str("fileId"))
				s.Advance(tc.between)
			}
			var oldest, newest []string
			for _, i := range tc.want {
				oldest, newest = append(oldest, ids[i]), append([]string{ids[i]}, newest...)
			}
			require.Equal(t, oldest, c.pages("b2_list_unfinished_large_files", fields{"bucketId": c.bucket}, func(answer) {}))
			require.Equal(t, newest, c.pages("b2_list_file_versions", fields{"bucketId": c.bucket}, func(answer) {}))
		})
	}
}

func TestAPageGoesOnWhereARemovedFileWas(t *testing.T) {
	for _, call := range []string{"b2_list_unfinished_large_files", "b2_list_file_versions"} {
		t.Run(call, func(t *testing.T) {
			begun := time.Now()
			c := login(t, newServer(t, &b2test.Options{Now: func() time.Time { return begun }}))
			for range 5 {
				c.start("l")
			}
			all := names(c.must(call, fields{"bucketId": c.bucket}), "fileId")
			count := 0
			got := c.pages(call, fields{"bucketId": c.bucket}, func(page answer) {
				if count++; count == 2 {
					c.cancel(page.str("nextFileId"))
				}
			})
			require.Equal(t, append(all[:2:2], all[3:]...), got)
		})
	}
}

func TestAPageBeginsWithNoUnknownFile(t *testing.T) {
	c := login(t, newServer(t, nil))
	elsewhere := login(t, newServer(t, nil)).start("l")
	want := "Invalid fileId: " + elsewhere
	c.refused("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "startFileId": elsewhere}, 400, "invalid_file_id", want)
	in := fields{"bucketId": c.bucket, "startFileName": "l", "startFileId": elsewhere}
	c.refused("b2_list_file_versions", in, 400, "invalid_file_id", want)
}

func TestAPageHasAtMostAHundredUnfinishedFiles(t *testing.T) {
	c := login(t, newServer(t, nil))
	c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "maxFileCount": 100})
	in := fields{"bucketId": c.bucket, "maxFileCount": 101}
	c.refused("b2_list_unfinished_large_files", in, 400, "out_of_range", "maxFileCount 101 is not within 1 and 100")
}

func TestFileInfoOfUnfinishedIsAnError(t *testing.T) {
	for status, switched := range map[int]bool{404: false, 400: true} {
		c := login(t, newServer(t, &b2test.Options{Uncertain: b2test.Uncertain{FileInfo400: switched}}))
		require.Equal(t, status, c.call("b2_get_file_info", fields{"fileId": c.start("l")}).status)
	}
}

func TestFileNamesShowTheNewestVisibleVersion(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	for _, name := range []string{"a", "dir/1", "dir/2", "z"} {
		c.upload(name, "old")
	}
	newest := c.upload("a", "new").str("fileId")
	c.must("b2_hide_file", fields{"bucketId": c.bucket, "fileName": "z"})
	c.start("unfinished")

	a := c.must("b2_list_file_names", fields{"bucketId": c.bucket})
	require.Equal(t, []string{"a", "dir/1", "dir/2"}, names(a, "fileName"))
	require.Equal(t, newest, names(a, "fileId")[0])
	a = c.must("b2_list_file_names", fields{"bucketId": c.bucket, "delimiter": "/"})
	require.Equal(t, []string{"a", "dir/"}, names(a, "fileName"))
	require.Equal(t, []string{"upload", "folder"}, names(a, "action"))
	a = c.must("b2_list_file_names", fields{"bucketId": c.bucket, "prefix": "dir/", "maxFileCount": 1})
	require.Equal(t, "dir/2", a.str("nextFileName"))
	a = c.must("b2_list_file_names", fields{"bucketId": c.bucket, "startFileName": "dir/2", "maxFileCount": 1})
	require.Equal(t, []string{"dir/2"}, names(a, "fileName"))
	require.Nil(t, a.body["nextFileName"])
}

func TestFileVersionsShowEverything(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	c.upload("a", "1")
	s.Advance(time.Second)
	second := c.start("a")
	s.Advance(time.Second)
	c.must("b2_hide_file", fields{"bucketId": c.bucket, "fileName": "a"})
	c.upload("b", "1")

	a := c.must("b2_list_file_versions", fields{"bucketId": c.bucket})
	require.Equal(t, []string{"hide", "start", "upload", "upload"}, names(a, "action"))
	a = c.must("b2_list_file_versions", fields{"bucketId": c.bucket, "maxFileCount": 1})
	require.Equal(t, second, a.str("nextFileId"))
	require.Equal(t, "a", a.str("nextFileName"))
	a = c.must("b2_list_file_versions", fields{"bucketId": c.bucket, "startFileName": "a", "startFileId": second})
	require.Equal(t, []string{"start", "upload", "upload"}, names(a, "action"))
	require.Equal(t, 400, c.call("b2_list_file_versions", fields{"bucketId": c.bucket, "startFileId": second}).status)
}

func TestHideMarkers(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("f", "x")
	in := fields{"bucketId": c.bucket, "fileName": "f"}
	a := c.must("b2_hide_file", in)
	require.Equal(t, "da39a3ee5e6b4b0d3255bfef95601890afd80709", a.str("contentSha1"))
	require.Equal(t, "application/x-bz-hide-marker", a.str("contentType"))
	require.NotContains(t, a.body, "fileRetention")
	require.NotContains(t, a.body, "serverSideEncryption")
	require.Equal(t, 404, c.download(http.MethodGet, "/file/"+s.Bucket()+"/f").status)
	c.refused("b2_hide_file", in, 400, "already_hidden", "File already hidden: f")
	in["fileName"] = "g"
	c.refused("b2_hide_file", in, 400, "no_such_file", "File not present: g")
	in["fileName"] = ""
	c.refused("b2_hide_file", in, 400, "bad_request", "File names must contain at least one character")
}

func TestDeleteFileVersion(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	id := c.upload("f", "x").str("fileId")
	require.JSONEq(t, `{"fileId":"`+id+`","fileName":"f"}`, string(c.must("b2_delete_file_version", fields{"fileId": id, "fileName": "f"}).raw))
	c.refused("b2_delete_file_version", fields{"fileId": id, "fileName": "f"}, 400, "file_not_present", "File not present: f "+id)
	require.Empty(t, s.Files(s.Bucket()))
}

func TestDownloads(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.upload("dir/a b+", "0123456789", "X-Bz-File-Name", "dir/a%20b%2B", "X-Bz-Info-b2-cache-control", "max-age=5").str("fileId")
	byName, byID := "/file/"+s.Bucket()+"/dir/a%20b%2B", "/b2api/v4/b2_download_file_by_id?fileId="+id
	for _, path := range []string{byName, byID} {
		a := c.download(http.MethodGet, path)
		require.Equal(t, "0123456789", string(a.raw))
		require.Equal(t, sum("0123456789"), a.header.Get("X-Bz-Content-Sha1"))
		require.Equal(t, id, a.header.Get("X-Bz-File-Id"))
		require.Equal(t, "dir/a%20b%2B", a.header.Get("X-Bz-File-Name"))
		require.Equal(t, "max-age=5", a.header.Get("Cache-Control"))
		require.Equal(t, "bytes", a.header.Get("Accept-Ranges"))

		a = c.download(http.MethodHead, path)
		require.Equal(t, 200, a.status)
		require.Equal(t, "10", a.header.Get("Content-Length"))

		for wanted, want := range map[string]string{"bytes=5-8": "5678", "bytes=8-": "89", "bytes=-2": "89", "bytes=7-99": "789"} {
			a = c.download(http.MethodGet, path, "Range", wanted)
			require.Equal(t, 206, a.status)
			require.Equal(t, want, string(a.raw))
		}
		require.Equal(t, "bytes 5-8/10", c.download(http.MethodGet, path, "Range", "bytes=5-8").header.Get("Content-Range"))
		require.Equal(t, 416, c.download(http.MethodGet, path, "Range", "bytes=10-").status)
	}
	require.Equal(t, "0123456789", string(c.post(c.down+"/b2api/v4/b2_download_file_by_id", `{"fileId":"`+id+`"}`).raw))
	require.Equal(t, "none", c.download(http.MethodGet, "/b2api/v4/b2_download_file_by_id?fileId="+c.large("l", ten, "x")).header.Get("X-Bz-Content-Sha1"))
}

func TestDownloadsAreRefused(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("empty", "")
	large := c.start("unfinished")
	require.Equal(t, 416, c.download(http.MethodGet, "/file/"+s.Bucket()+"/empty", "Range", "bytes=0-0").status)
	require.Equal(t, 404, c.download(http.MethodGet, "/file/"+s.Bucket()+"/unfinished").status)
	require.Equal(t, 404, c.download(http.MethodGet, "/b2api/v4/b2_download_file_by_id?fileId="+large).status)
	a := c.download(http.MethodHead, "/file/"+s.Bucket()+"/none")
	require.Equal(t, 404, a.status)
	require.Empty(t, a.raw)
	c.token = ""
	require.Equal(t, 401, c.download(http.MethodGet, "/file/"+s.Bucket()+"/empty").status)
	k, err := s.AddKey(b2test.Key{Capabilities: []string{"writeFiles"}})
	require.NoError(t, err)
	require.Equal(t, 401, loginAs(t, s, k).download(http.MethodGet, "/file/"+s.Bucket()+"/empty").status)
}

func TestPublicBucketsNeedNoToken(t *testing.T) {
	s := newServer(t, nil)
	b, err := s.AddBucket(b2test.Bucket{Name: "public", Public: true})
	require.NoError(t, err)
	c := login(t, s)
	c.bucket = b.ID
	c.upload("f", "x")
	c.token = ""
	require.Equal(t, "x", string(c.download(http.MethodGet, "/file/public/f").raw))
}

func TestDownloadAuthorizationIsForAPrefixAndATime(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("in/f", "x")
	c.upload("out/f", "x")
	a := c.must("b2_get_download_authorization", fields{"bucketId": c.bucket, "fileNamePrefix": "in/", "validDurationInSeconds": 60})
	require.Len(t, a.str("authorizationToken"), 111)
	c.token = ""
	query := "?Authorization=" + a.str("authorizationToken")
	require.Equal(t, 200, c.download(http.MethodGet, "/file/"+s.Bucket()+"/in/f"+query).status)
	require.Equal(t, 401, c.download(http.MethodGet, "/file/"+s.Bucket()+"/out/f"+query).status)
	s.Advance(time.Minute)
	require.Equal(t, 401, c.download(http.MethodGet, "/file/"+s.Bucket()+"/in/f"+query).status)
}
