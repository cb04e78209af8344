package b2test_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// lockedBucket makes c use a bucket with Object Lock.
func (c *client) lockedBucket() {
	c.t.Helper()
	b, err := c.s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(c.t, err)
	c.bucket = b.ID
}

func TestUpdateRetention_WeakensOnlyGovernanceWithTheBypass(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.lockedBucket()
	id := c.upload("f", "x").str("fileId")
	set := func(mode any, until any, bypass bool) answer {
		return c.call("b2_update_file_retention", fields{
			"fileName": "f", "fileId": id, "bypassGovernance": bypass,
			"fileRetention": fields{"mode": mode, "retainUntilTimestamp": until},
		})
	}
	in := func(d time.Duration) int64 { return s.Now().Add(d).UnixMilli() }
	hour, day := in(time.Hour), in(24*time.Hour)

	a := set("governance", fmt.Sprint(day), false)
	require.Equal(t, 200, a.status, "%s", a.raw)
	require.Equal(t, fields{"mode": "governance", "retainUntilTimestamp": float64(day)}, a.body["fileRetention"])
	require.Equal(t, "access_denied", set("governance", hour, false).str("code"), "shorter")
	require.Equal(t, "access_denied", set(nil, nil, false).str("code"), "none")
	require.Equal(t, 200, set("governance", hour, true).status)
	require.Equal(t, 200, set("compliance", day, false).status, "stronger")
	require.Equal(t, "access_denied", set("compliance", hour, true).str("code"))
	require.Equal(t, "access_denied", set("governance", day, true).str("code"))
	require.Equal(t, 200, set("compliance", in(48*time.Hour), false).status, "longer")
	require.Equal(t, 400, set("governance", in(-time.Hour), true).status, "in the past")

	s.Advance(49 * time.Hour)
	c = login(t, s)
	require.Equal(t, 200, set(nil, nil, false).status, "it has ended")
	c.must("b2_delete_file_version", fields{"fileName": "f", "fileId": id})
}

func TestUpdateLegalHold_KeepsTheFile(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	plain := c.upload("f", "x").str("fileId")
	hold := fields{"fileName": "f", "fileId": plain, "legalHold": "on"}
	require.Equal(t, "bucket_missing_file_lock", c.call("b2_update_file_legal_hold", hold).str("code"))
	c.lockedBucket()
	id := c.upload("f", "x").str("fileId")
	hold["fileId"] = id
	require.Equal(t, "on", c.must("b2_update_file_legal_hold", hold).str("legalHold"))
	require.Equal(t, "on", c.must("b2_get_file_info", fields{"fileId": id}).body["legalHold"].(fields)["value"])
	remove := fields{"fileName": "f", "fileId": id}
	require.Equal(t, "access_denied", c.call("b2_delete_file_version", remove).str("code"))
	hold["legalHold"] = "maybe"
	require.Equal(t, 400, c.call("b2_update_file_legal_hold", hold).status)
	hold["legalHold"] = "off"
	c.must("b2_update_file_legal_hold", hold)
	c.must("b2_delete_file_version", remove)
	require.Equal(t, "file_not_present", c.call("b2_update_file_legal_hold", hold).str("code"))
}

func TestBucketDefaults_HoldForFilesThatAskForNothing(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	update := func(in fields) answer {
		in["accountId"], in["bucketId"] = s.AccountID(), c.bucket
		return c.call("b2_update_bucket", in)
	}
	retention := fields{"mode": "compliance", "period": fields{"duration": 7, "unit": "days"}}
	require.Equal(t, "bucket_missing_file_lock", update(fields{"defaultRetention": retention}).str("code"))
	a := update(fields{
		"fileLockEnabled": true, "defaultRetention": retention,
		"defaultServerSideEncryption": fields{"mode": "SSE-B2", "algorithm": "AES256"},
	})
	require.Equal(t, 200, a.status, "%s", a.raw)
	require.Equal(t, retention["mode"], a.body["fileLockConfiguration"].(fields)["value"].(fields)["defaultRetention"].(fields)["mode"])
	require.Equal(t, "SSE-B2", a.body["defaultServerSideEncryption"].(fields)["value"].(fields)["mode"])
	for _, id := range []string{c.upload("f", "x").str("fileId"), c.large("l", ten, "x")} {
		a := c.must("b2_get_file_info", fields{"fileId": id})
		require.Equal(t, "SSE-B2", a.body["serverSideEncryption"].(fields)["mode"])
		kept := a.body["fileRetention"].(fields)["value"].(fields)
		require.Equal(t, "compliance", kept["mode"])
		week := float64(7 * 24 * time.Hour / time.Millisecond)
		require.InDelta(t, a.body["uploadTimestamp"].(float64)+week, kept["retainUntilTimestamp"], float64(time.Hour/time.Millisecond))
	}
	require.Equal(t, 200, update(fields{"defaultRetention": fields{"mode": nil}}).status)
	require.Nil(t, c.must("b2_get_file_info", fields{"fileId": c.upload("g", "x").str("fileId")}).
		body["fileRetention"].(fields)["value"].(fields)["mode"])
	for name, in := range map[string]fields{
		"lock disabled": {"fileLockEnabled": false},
		"SSE-C":         {"defaultServerSideEncryption": fields{"mode": "SSE-C", "algorithm": "AES256"}},
		"mode":          {"defaultRetention": fields{"mode": "forever", "period": fields{"duration": 7, "unit": "days"}}},
		"period":        {"defaultRetention": fields{"mode": "governance"}},
		"unit":          {"defaultRetention": fields{"mode": "governance", "period": fields{"duration": 7, "unit": "weeks"}}},
	} {
		require.Equal(t, 400, update(in).status, name)
	}
}

func TestBucketSettings_AreGuardedByCapabilities(t *testing.T) {
	s := newServer(t, nil)
	k, err := s.AddKey(b2test.Key{Capabilities: []string{"writeBuckets", "listBuckets"}})
	require.NoError(t, err)
	c := loginAs(t, s, k)
	for field, value := range map[string]any{
		"fileLockEnabled": true, "replicationConfiguration": fields{},
		"defaultServerSideEncryption": fields{"mode": "SSE-B2", "algorithm": "AES256"},
		"defaultRetention":            fields{"mode": nil},
	} {
		in := fields{"accountId": s.AccountID(), "bucketId": c.bucket, field: value}
		c.refused("b2_update_bucket", in, 401, "unauthorized", "")
	}
	b := c.must("b2_list_buckets", fields{"accountId": s.AccountID()}).body["buckets"].([]any)[0].(fields)
	hidden := fields{"isClientAuthorizedToRead": false, "value": nil}
	for _, field := range []string{"defaultServerSideEncryption", "fileLockConfiguration", "replicationConfiguration"} {
		require.Equal(t, hidden, b[field], field)
	}
	all := login(t, s)
	configuration := fields{"asReplicationSource": nil, "asReplicationDestination": nil}
	a := all.must("b2_update_bucket", fields{
		"accountId": s.AccountID(), "bucketId": c.bucket, "replicationConfiguration": configuration,
	})
	require.Equal(t, fields{"isClientAuthorizedToRead": true, "value": configuration}, a.body["replicationConfiguration"])
	all.refused("b2_list_buckets", fields{"accountId": s.AccountID(), "bucketTypes": []string{"odd"}},
		400, "bad_request", "Invalid bucketTypes: odd")
}

func TestDeleteBucket_NamesTheCodeForOneThatIsNotEmpty(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.upload("f", "x")
	c.refused("b2_delete_bucket", fields{"accountId": s.AccountID(), "bucketId": c.bucket},
		400, "cannot_delete_non_empty_bucket", "Cannot delete non-empty bucket")
}

// Pages of the service show timestamps as strings and as numbers.
func TestTimestamps_AreStringsOrNumbers(t *testing.T) {
	s := newServer(t, &b2test.Options{CustomTimestamps: true})
	c := login(t, s)
	c.lockedBucket()
	until := s.Now().Add(time.Hour).UnixMilli()
	start := func(custom, until any) answer {
		return c.call("b2_start_large_file", fields{
			"bucketId": c.bucket, "fileName": "l", "contentType": "a/b", "customUploadTimestamp": custom,
			"fileRetention": fields{"mode": "governance", "retainUntilTimestamp": until},
		})
	}
	for _, a := range []answer{start(1000, until), start("1000", fmt.Sprint(until))} {
		require.Equal(t, 200, a.status, "%s", a.raw)
		require.EqualValues(t, 1000, a.body["uploadTimestamp"])
		require.EqualValues(t, until, a.body["fileRetention"].(fields)["value"].(fields)["retainUntilTimestamp"])
	}
	for _, custom := range []any{0, -1, "0", "-1", "", "x", 1.5, true, "99999999999999"} {
		require.Equal(t, "custom_timestamp_invalid", start(custom, until).str("code"), "%v", custom)
	}
	for _, custom := range []string{"0", "-1", "x"} {
		a := c.uploadTo(c.fileURL(), "f", "x", "X-Bz-Custom-Upload-Timestamp", custom)
		require.Equal(t, "custom_timestamp_invalid", a.str("code"), custom)
	}
	require.Equal(t, 400, start(1000, "soon").status)
}

func TestContentTypes_AreTakenAlikeByBothCalls(t *testing.T) {
	c := login(t, newServer(t, nil))
	both := func(contentType string) []answer {
		return []answer{
			c.uploadTo(c.fileURL(), "f", "x", "Content-Type", contentType),
			c.call("b2_start_large_file", fields{"bucketId": c.bucket, "fileName": "f", "contentType": contentType}),
		}
	}
	for _, contentType := range []string{"arbitrarystring", "a/b; c=d", " text/plain\t"} {
		answers := both(contentType)
		require.Equal(t, 200, answers[0].status, "%s", answers[0].raw)
		require.Equal(t, 200, answers[1].status, "%s", answers[1].raw)
		require.Equal(t, answers[0].str("contentType"), answers[1].str("contentType"))
	}
	for _, a := range both("text/pläin") {
		require.Equal(t, 415, a.status)
		require.Equal(t, "unsupported_media_type", a.str("code"))
	}
}

func TestReservedInfo_FollowsTheGrammarOfItsHeader(t *testing.T) {
	c := login(t, newServer(t, nil))
	for key, values := range map[string][2][]string{
		"b2-content-disposition": {
			{"inline", `attachment; filename="a \"b\".tar"`, "attachment;filename=a.tar", "attachment; filename*=utf-8''%e2%82%ac", "x; a=b; c*=UTF-8''"},
			{
				"", ";", "attachment;", "attachment; filename", "attachment; filename=", "attachment; ; a=b", `attachment; filename="a`,
				"attachment; filename*0=a; filename*1=b", "attachment; filename*0*=UTF-8''a", "attachment; filename*=ISO-8859-1''a",
				"attachment; filename*=UTF-8'en'a", "attachment; filename*=UTF-8''%zz", "a b", "attachment; filename=a b",
			},
		},
		"b2-content-language": {{"de", "en, mi", "zh-Hant-TW"}, {"", "en,", ",en", "en,,de", "toolongalanguage", "en_US", "e\u0308"}},
		"b2-content-encoding": {{"gzip", "gzip, zstd"}, {"", "gzip,", "g zip", "gzip/1"}},
		"b2-cache-control":    {{"no-cache", "max-age=3600, public", `private="x, y"`}, {"", "max-age=", "max-age=1,", "no cache", `a="b`}},
		"b2-expires": {
			{"Wed, 02 Jan 2030 03:04:05 GMT", "Wednesday, 02-Jan-30 03:04:05 GMT", "Wed Jan  2 03:04:05 2030"},
			{"", "0", "2030-01-02", "tomorrow"},
		},
	} {
		for n, list := range values {
			for _, value := range list {
				a := c.call("b2_start_large_file", fields{
					"bucketId": c.bucket, "fileName": "f", "contentType": "a/b", "fileInfo": fields{key: value},
				})
				require.Equal(t, []int{200, 400}[n], a.status, "%s: %q: %s", key, value, a.raw)
			}
		}
	}
}
