package b2test_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

const ten = "0123456789"

func TestLargeFileIsItsPartsInOrder(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.start("l")
	require.Regexp(t, `_f2[0-9a-f]{15}_`, id)
	u := c.partURL(id)
	require.Contains(t, u.url, "/b2_upload_part/"+id+"/")
	c.partTo(u, 2, "last")
	c.partTo(u, 1, ten)
	a := c.finish(id, []string{sum(ten), sum("last")})
	require.Equal(t, 200, a.status, "%s", a.raw)
	require.Equal(t, ten+"last", content(t, s, "l"))
	require.NoError(t, s.Check())
}

func TestFinishKeepsIDAndTimestampOfStart(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	start := c.must("b2_start_large_file", fields{"bucketId": c.bucket, "fileName": "l", "contentType": "a/b"})
	id := start.str("fileId")
	digests := c.parts(id, ten, "x")
	s.Advance(time.Hour)
	a := c.finish(id, digests)
	require.Equal(t, id, a.str("fileId"))
	require.Equal(t, start.body["uploadTimestamp"], a.body["uploadTimestamp"])
	require.Equal(t, "upload", a.str("action"))
	require.Equal(t, "none", a.str("contentSha1"))
	require.Nil(t, a.body["contentMd5"])
	require.EqualValues(t, 11, a.body["contentLength"])
}

func TestLargeFileRanksByItsStart(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.start("f")
	digests := c.parts(id, ten, "x")
	s.Advance(time.Minute)
	c.upload("f", "newer")
	require.Equal(t, 200, c.finish(id, digests).status)
	require.Equal(t, "newer", content(t, s, "f"))
}

func TestPartNumbersGoFrom1To10000(t *testing.T) {
	c := login(t, newServer(t, nil))
	id := c.start("l")
	for _, number := range []int{0, -1, 10_001} {
		requireError(t, c.partTo(c.partURL(id), number, "x"), 400, "bad_request", "Part number must be in range 1 - 10000")
	}
	require.Equal(t, 200, c.partTo(c.partURL(id), 10_000, "x").status)
}

func TestEmptyPartIsRefused(t *testing.T) {
	c := login(t, newServer(t, nil))
	require.Equal(t, 400, c.partTo(c.partURL(c.start("l")), 1, "").status)
}

func TestSamePartAgainReplaces(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.start("l")
	u := c.partURL(id)
	for _, body := range []string{"old-old-old", ten} {
		require.Equal(t, 200, c.partTo(u, 1, body).status)
	}
	c.partTo(u, 2, "x")
	require.Equal(t, 200, c.finish(id, []string{sum(ten), sum("x")}).status)
	require.Equal(t, ten+"x", content(t, s, "l"))
}

func TestAnUnverifiedPartGoesByTheDigestBehindItsPrefix(t *testing.T) {
	c := login(t, newServer(t, small()))
	id := c.start("l")
	u := c.partURL(id)
	a := c.partTo(u, 1, ten, "X-Bz-Content-Sha1", "do_not_verify")
	require.Equal(t, "unverified:"+sum(ten), a.str("contentSha1"))
	c.partTo(u, 2, "x")
	require.Equal(t, 400, c.finish(id, []string{"unverified:" + sum(ten), sum("x")}).status)
	require.Equal(t, 200, c.finish(id, []string{sum(ten), sum("x")}).status)
}

func TestFinishChecksInOrder(t *testing.T) {
	// Each request is wrong in all later ways as well, so that only the order
	// can make the first text.
	s := newServer(t, nil)
	c := login(t, s)
	id := c.start("l")
	u := c.partURL(id)
	c.partTo(u, 1, "a")
	refused := func(code, message string, digests ...string) {
		t.Helper()
		requireError(t, c.finish(id, digests), 400, code, message)
	}
	const wrong = "0000000000000000000000000000000000000000"
	requireError(t, c.finish("bad-id", nil), 400, "bad_request", "Invalid fileId: bad-id")
	refused("bad_request", "large files must have at least 2 parts")
	refused("bad_request", "large files must have at least 2 parts", sum("a"))
	refused("missing_part", "Part number 2 has not been uploaded", wrong, wrong)
	c.partTo(u, 2, "b")
	c.partTo(u, 3, "c")
	refused("part_sha1_mismatch", "Part number 1 has a different sha1", wrong, sum("b"), sum("c"))
	refused("part_sha1_mismatch", "3 parts are stored, 2 are listed", sum("a"), sum("b"))
	refused("bad_request", "Part number 1 is smaller than 5000000 bytes", sum("a"), sum("b"), sum("c"))
	c.cancel(id)
	refused("bad_request", "No active upload for: "+id, sum("a"), sum("b"), sum("c"))
}

func TestTheCodesOfFinishAreASwitch(t *testing.T) {
	opts := small()
	opts.Uncertain = b2test.Uncertain{FinishBadRequest: true}
	s := newServer(t, opts)
	c := login(t, s)
	id := c.start("l")
	c.parts(id, ten, "x")
	require.Equal(t, "bad_request", c.finish(id, []string{sum(ten), sum("y")}).str("code"))
	require.Equal(t, "bad_request", c.finish(id, []string{sum(ten), sum("x"), sum("")}).str("code"))
	require.Equal(t, 200, c.finish(id, []string{sum(ten), sum("x")}).status)
	require.Equal(t, ten+"x", content(t, s, "l"))
}

func TestFinishTakesAtMostTenThousandParts(t *testing.T) {
	c := login(t, newServer(t, nil))
	id := c.start("l")
	requireError(t, c.finish(id, make([]string, 10_001)), 400, "bad_request", "large files must have at most 10000 parts")
	requireError(t, c.finish(id, make([]string, 10_000)), 400, "missing_part", "Part number 1 has not been uploaded")
}

func TestEndedLargeFileRefusesEverything(t *testing.T) {
	for _, how := range []string{"finish", "cancel", "delete"} {
		t.Run(how, func(t *testing.T) {
			c := login(t, newServer(t, small()))
			id := c.start("l")
			digests := c.parts(id, ten, "x")
			u := c.partURL(id)
			switch how {
			case "finish":
				require.Equal(t, 200, c.finish(id, digests).status)
			case "cancel":
				c.cancel(id)
			case "delete":
				c.must("b2_delete_file_version", fields{"fileId": id, "fileName": "l"})
			}
			text := "No active upload for: " + id
			requireError(t, c.finish(id, digests), 400, "bad_request", text)
			requireError(t, c.partTo(u, 1, ten), 400, "bad_request", text)
			for _, call := range []string{"b2_cancel_large_file", "b2_get_upload_part_url", "b2_list_parts"} {
				c.refused(call, fields{"fileId": id}, 400, "bad_request", text)
			}
		})
	}
}

func TestMalformedFileIDs(t *testing.T) {
	c := login(t, newServer(t, nil))
	in := fields{"fileId": "bad-id"}
	c.refused("b2_cancel_large_file", in, 400, "bad_request", "Invalid fileId: bad-id")
	c.refused("b2_list_parts", in, 400, "bad_request", "Invalid fileId: bad-id")
	c.refused("b2_get_upload_part_url", in, 400, "bad_request", "Not a valid file id: bad-id")
	c.refused("b2_get_file_info", in, 400, "bad_request", "Bad file id: bad-id")
}

func TestPartThatOutlivesItsFileIsNotStored(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	id := c.start("l")
	u := c.partURL(id)
	release := make(chan struct{})
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Kind: b2test.Wait, Hold: release}))
	done := make(chan answer)
	go func() { done <- c.partTo(u, 1, "x") }()
	waitFor(t, func() bool { return s.Fired()[0] == 1 })
	c.cancel(id)
	close(release)
	requireError(t, <-done, 400, "bad_request", "No active upload for: "+id)
}

func TestListPartsPagesAndShowsWholeSeconds(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)
	opts := small()
	opts.Now = func() time.Time { return now }
	c := login(t, newServer(t, opts))
	id := c.start("l")
	u := c.partURL(id)
	for _, number := range []int{1, 2, 5, 9} {
		a := c.partTo(u, number, ten)
		require.EqualValues(t, now.UnixMilli(), a.body["uploadTimestamp"])
	}
	a := c.must("b2_list_parts", fields{"fileId": id, "startPartNumber": 2, "maxPartCount": 2})
	parts := a.body["parts"].([]any)
	require.Len(t, parts, 2)
	require.EqualValues(t, 2, parts[0].(fields)["partNumber"])
	require.EqualValues(t, 5, parts[1].(fields)["partNumber"])
	require.EqualValues(t, now.Unix()*1000, parts[0].(fields)["uploadTimestamp"])
	require.EqualValues(t, 9, a.body["nextPartNumber"])
	a = c.must("b2_list_parts", fields{"fileId": id, "startPartNumber": 9, "maxPartCount": 1})
	require.Nil(t, a.body["nextPartNumber"], "a page that is exactly full has no next")
}

func TestWriteOnlyKeyUploadsAndListsParts(t *testing.T) {
	s := newServer(t, small())
	k, err := s.AddKey(b2test.Key{Capabilities: []string{"writeFiles"}, Buckets: []string{s.Bucket()}})
	require.NoError(t, err)
	c := loginAs(t, s, k)
	id := c.start("l")
	digests := c.parts(id, ten, "x")
	c.must("b2_list_parts", fields{"fileId": id})
	require.Equal(t, 200, c.finish(id, digests).status)
	c.refused("b2_get_file_info", fields{"fileId": id}, 401, "unauthorized", "")
}

func TestMinimumAtItsRealSize(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.large("enough", strings.Repeat("a", 5_000_000), "x")
	id := c.start("short")
	digests := c.parts(id, strings.Repeat("a", 5_000_000), strings.Repeat("a", 4_999_999), "x")
	requireError(t, c.finish(id, digests), 400, "bad_request", "Part number 2 is smaller than 5000000 bytes")
}

func TestCopiesOfFilesAndRanges(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	src := c.upload("src.txt", "Some text\n", "X-Bz-Info-k", "v").str("fileId")

	a := c.must("b2_copy_file", fields{"sourceFileId": src, "fileName": "whole"})
	require.Equal(t, "copy", a.str("action"))
	require.Equal(t, fields{"k": "v"}, a.body["fileInfo"])
	require.Equal(t, "upload", c.must("b2_get_file_info", fields{"fileId": a.str("fileId")}).str("action"))
	require.Equal(t, "Some text\n", content(t, s, "whole"))

	a = c.must("b2_copy_file", fields{
		"sourceFileId": src, "fileName": "range", "range": "bytes=5-8",
		"metadataDirective": "REPLACE", "contentType": "a/b", "fileInfo": fields{"n": "w"},
	})
	require.Equal(t, sum("text"), a.str("contentSha1"))
	require.Equal(t, fields{"n": "w"}, a.body["fileInfo"])
	require.Equal(t, "text", content(t, s, "range"))

	id := c.start("l")
	a = c.must("b2_copy_part", fields{"sourceFileId": src, "largeFileId": id, "partNumber": 1})
	require.Equal(t, id, a.str("fileId"))
	c.must("b2_copy_part", fields{"sourceFileId": src, "largeFileId": id, "partNumber": 2, "range": "bytes=0-3"})
	require.Equal(t, 200, c.finish(id, []string{sum("Some text\n"), sum("Some")}).status)
	require.Equal(t, "Some text\nSome", content(t, s, "l"))
}

func TestCopiesAreRefused(t *testing.T) {
	c := login(t, newServer(t, small()))
	src := c.upload("src", "abc").str("fileId")
	unfinished := c.start("l")
	for i, tc := range []struct {
		in     fields
		status int
	}{
		{fields{"sourceFileId": src, "fileInfo": fields{}}, 400},
		{fields{"sourceFileId": src, "contentType": "a/b", "metadataDirective": "COPY"}, 400},
		{fields{"sourceFileId": src, "metadataDirective": "REPLACE"}, 400},
		{fields{"sourceFileId": src, "range": "bytes=3-4"}, 416},
		{fields{"sourceFileId": unfinished}, 404},
		{fields{"sourceFileId": "bad-id"}, 400},
	} {
		tc.in["fileName"] = "n"
		require.Equal(t, tc.status, c.call("b2_copy_file", tc.in).status, fmt.Sprint(i))
	}
	c.refused("b2_copy_part", fields{"sourceFileId": src, "largeFileId": unfinished, "partNumber": 10_001},
		400, "bad_request", "Part number must be in range 1 - 10000")
}

func TestCopyFromAPrivateBucketNeedsReadFiles(t *testing.T) {
	s := newServer(t, nil)
	src := login(t, s).upload("src", "abc").str("fileId")
	k, err := s.AddKey(b2test.Key{Capabilities: []string{"writeFiles"}})
	require.NoError(t, err)
	loginAs(t, s, k).refused("b2_copy_file", fields{"sourceFileId": src, "fileName": "n"}, 401, "unauthorized", "")
}

func TestCopySourceIsAtMostFiveGigabytes(t *testing.T) {
	c := login(t, newServer(t, &b2test.Options{Discard: true, TrustSHA1: true}))
	const size = 50_000_000
	body := strings.Repeat("x", size)
	src := c.upload("src", body).str("fileId")
	id := c.start("l")
	digests := make([]string, 101)
	digest := c.must("b2_get_file_info", fields{"fileId": src}).str("contentSha1")
	for i := range digests {
		c.must("b2_copy_part", fields{"sourceFileId": src, "largeFileId": id, "partNumber": i + 1})
		digests[i] = digest
	}
	require.Equal(t, 200, c.finish(id, digests).status)
	c.refused("b2_copy_file", fields{"sourceFileId": id, "fileName": "n"}, 400, "source_too_large", "Copy source too big: 5050000000")
}
