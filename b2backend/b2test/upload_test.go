package b2test_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestUploadFileStoresAndAnswersTheFile(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	a := c.upload("a b+é.txt", "abcd", "X-Bz-File-Name", "a%20b%2B%C3%A9.txt", "Content-Type", "b2/x-auto",
		"X-Bz-Info-Color", "light+blue%2B")
	require.Regexp(t, `^4_z`+c.bucket+`_f1[0-9a-f]{15}_d\d{8}_m\d{6}_c\d{3}_v\d{7}_t\d{4}$`, a.str("fileId"))
	require.Equal(t, "a b+é.txt", a.str("fileName"))
	require.Equal(t, "text/plain", a.str("contentType"))
	require.Equal(t, "81fe8bfe87576c3ecb22426f8e57847382917acf", a.str("contentSha1"))
	require.Equal(t, "e2fc714c4727ee9395f324cd2e7f331f", a.str("contentMd5"))
	require.Equal(t, fields{"color": "light blue+"}, a.body["fileInfo"])
	require.Equal(t, "abcd", content(t, s, "a b+é.txt"))
	require.Equal(t, a.raw, c.must("b2_get_file_info", fields{"fileId": a.str("fileId")}).raw)
}

func TestEmptyFileIsFine(t *testing.T) {
	s := newServer(t, nil)
	login(t, s).upload("empty", "")
	require.Empty(t, content(t, s, "empty"))
}

func TestWrongSHA1IsRefusedAndNothingStored(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	requireError(t, c.uploadTo(c.fileURL(), "f", "abc", "X-Bz-Content-Sha1", sum("abd")),
		400, "bad_request", "Checksum did not match data received")
	require.Empty(t, s.Files(s.Bucket()))
	id := c.start("l")
	requireError(t, c.partTo(c.partURL(id), 1, "abc", "X-Bz-Content-Sha1", sum("abd")),
		400, "bad_request", "Checksum did not match data received")
	require.Empty(t, s.Unfinished()[0].Parts)
}

func TestDigestAtTheEndIsStrippedAndChecked(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	h := headers("X-Bz-File-Name", "f", "Content-Type", "a/b", "X-Bz-Content-Sha1", "hex_digits_at_end")
	a := c.put(c.fileURL(), reader("abc"+sum("abc")), h)
	require.Equal(t, 200, a.status, "%s", a.raw)
	require.EqualValues(t, 3, a.body["contentLength"])
	require.Equal(t, sum("abc"), a.str("contentSha1"))
	require.Equal(t, "abc", content(t, s, "f"))

	require.Equal(t, "Checksum did not match data received", c.put(c.fileURL(), reader("abc"+sum("abd")), h).str("message"))
	require.Contains(t, c.put(c.fileURL(), reader("abc"+strings.Repeat("x", 40)), h).str("message"), "Not a valid hex SHA1")
	require.Contains(t, c.put(c.fileURL(), reader("abc"), h).str("message"), "Not a valid hex SHA1")
}

func TestUnverifiedDigestIsComputedAndMarked(t *testing.T) {
	for _, trust := range []bool{false, true} {
		s := newServer(t, &b2test.Options{TrustSHA1: trust})
		a := login(t, s).upload("f", "abc", "X-Bz-Content-Sha1", "do_not_verify")
		require.Equal(t, "unverified:"+sum("abc"), a.str("contentSha1"))
	}
}

func TestDigestHeaderMustBeOneOfThree(t *testing.T) {
	c := login(t, newServer(t, nil))
	for _, claim := range []string{"", "abc", sum("x") + "0", "none"} {
		a := c.uploadTo(c.fileURL(), "f", "x", "X-Bz-Content-Sha1", claim)
		require.Equal(t, 400, a.status, "%q", claim)
	}
}

func TestTrustingServerBelievesTheDigest(t *testing.T) {
	s := newServer(t, &b2test.Options{TrustSHA1: true})
	a := login(t, s).upload("f", "abc", "X-Bz-Content-Sha1", sum("something else"))
	require.Equal(t, sum("something else"), a.str("contentSha1"))
	require.Nil(t, a.body["contentMd5"])
}

func TestDiscardingServerKeepsSizesAndDigests(t *testing.T) {
	opts := small()
	opts.Discard = true
	s := newServer(t, opts)
	c := login(t, s)
	id := c.large("l", strings.Repeat("a", 300<<10), "b")
	f, err := s.File(s.Bucket(), "l")
	require.NoError(t, err)
	require.EqualValues(t, 300<<10+1, f.Size)
	_, err = io.ReadAll(f.Reader())
	require.ErrorContains(t, err, "discards")
	require.Equal(t, 500, c.download(http.MethodGet, "/b2api/v4/b2_download_file_by_id?fileId="+id).status)
	a := c.download(http.MethodHead, "/file/"+s.Bucket()+"/l")
	require.Equal(t, "307201", a.header.Get("Content-Length"))
}

func TestRequiredUploadHeaders(t *testing.T) {
	c := login(t, newServer(t, nil))
	for _, name := range []string{"X-Bz-File-Name", "Content-Type", "X-Bz-Content-Sha1"} {
		require.Equal(t, 400, c.uploadTo(c.fileURL(), "f", "x", name, "").status, name)
	}
	require.Equal(t, 400, c.partTo(c.partURL(c.start("l")), 1, "x", "X-Bz-Part-Number", "").status)
}

func TestForbiddenUploadHeaders(t *testing.T) {
	c := login(t, newServer(t, nil))
	for _, name := range []string{"Content-Disposition", "Content-Language", "Content-Range", "Expires", "Content-Encoding", "Content-Location"} {
		require.Equal(t, 400, c.uploadTo(c.fileURL(), "f", "x", name, "v").status, name)
	}
}

func TestEarlyCloseStoresNothing(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	pr, pw := io.Pipe()
	u := c.fileURL()
	req, err := http.NewRequest(http.MethodPost, u.url, pr)
	require.NoError(t, err)
	req.ContentLength = 100
	req.Header = headers("Authorization", u.token, "X-Bz-File-Name", "f", "Content-Type", "a/b", "X-Bz-Content-Sha1", sum("x"))
	go func() { _, _ = pw.Write([]byte("only this")); pw.CloseWithError(io.ErrClosedPipe) }()
	require.Zero(t, c.do(req).status)
	s.Close() // waits for the handler
	require.Empty(t, s.Files(s.Bucket()))
}

func TestNamesKeepTheRules(t *testing.T) {
	c := login(t, newServer(t, nil))
	for _, name := range []string{"", strings.Repeat("n", 1025), "a\x1fb", "a\x7fb", "a\nb"} {
		in := fields{"bucketId": c.bucket, "fileName": name, "contentType": "a/b"}
		require.Equal(t, 400, c.call("b2_start_large_file", in).status, "%q", name)
	}
	requireError(t, c.uploadTo(c.fileURL(), "f", "x", "X-Bz-File-Name", "%80"), 400, "bad_request", "File names must be valid UTF-8")
	for _, name := range []string{strings.Repeat("n", 1024), "/a//b/", `a\b`, strings.Repeat("é", 512)} {
		c.start(name)
	}
}

func TestOldLimitsAreASwitch(t *testing.T) {
	c := login(t, newServer(t, &b2test.Options{Uncertain: b2test.Uncertain{OldLimits: true}}))
	info := fields{}
	for i := range 11 {
		info[fmt.Sprint("k", i)] = "v"
	}
	for _, in := range []fields{
		{"fileName": "/a"},
		{"fileName": "a/"},
		{"fileName": "a//b"},
		{"fileName": `a\b`},
		{"fileName": strings.Repeat("s", 251)},
		{"fileName": "a", "fileInfo": info},
	} {
		in["bucketId"], in["contentType"] = c.bucket, "a/b"
		require.Equal(t, 400, c.call("b2_start_large_file", in).status, "%v", in)
	}
}

func TestFileInfoKeepsTheRules(t *testing.T) {
	c := login(t, newServer(t, nil))
	start := func(info fields) int {
		return c.call("b2_start_large_file", fields{"bucketId": c.bucket, "fileName": "n", "contentType": "a/b", "fileInfo": info}).status
	}
	require.Equal(t, 200, start(fields{strings.Repeat("k", 50): "v", "A-_.`~!#$%&'*^|+1": "v"}))
	require.Equal(t, 400, start(fields{strings.Repeat("k", 51): "v"}))
	require.Equal(t, 400, start(fields{"a b": "v"}))
	require.Equal(t, 400, start(fields{"k": 7}))
	require.Equal(t, 400, start(fields{"b2-unknown": "v"}))
	require.Equal(t, 200, start(fields{"b2-content-disposition": "inline"}))
	require.Equal(t, 400, start(fields{"Twice": "v", "twice": "v"}))
	require.Equal(t, 200, start(fields{"k": strings.Repeat("v", 7000-2)}))
	require.Equal(t, 400, start(fields{"k": strings.Repeat("v", 7000-1)}))
}

func TestEncryptionAndLockTightenTheInfoLimit(t *testing.T) {
	s := newServer(t, nil)
	locked, err := s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(t, err)
	c := login(t, s)
	for _, in := range []fields{
		{"bucketId": c.bucket, "serverSideEncryption": fields{"mode": "SSE-B2", "algorithm": "AES256"}},
		{"bucketId": locked.ID},
	} {
		in["fileName"], in["contentType"] = "n", "a/b"
		in["fileInfo"] = fields{"k": strings.Repeat("v", 2048-2)}
		require.Equal(t, 200, c.call("b2_start_large_file", in).status)
		in["fileInfo"] = fields{"k": strings.Repeat("v", 2048-1)}
		require.Equal(t, 400, c.call("b2_start_large_file", in).status)
	}
}

func customerKey() (key, sum string) {
	raw := []byte(strings.Repeat("k", 32))
	digest := md5.Sum(raw)
	return base64.StdEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(digest[:])
}

func TestEncryptionIsAnsweredBack(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	a := c.upload("b2", "x", "X-Bz-Server-Side-Encryption", "AES256")
	require.Equal(t, fields{"algorithm": "AES256", "mode": "SSE-B2"}, a.body["serverSideEncryption"])

	key, digest := customerKey()
	const prefix = "X-Bz-Server-Side-Encryption-Customer-"
	sse := []string{prefix + "Algorithm", "AES256", prefix + "Key", key, prefix + "Key-Md5", digest}
	want := fields{"algorithm": "AES256", "mode": "SSE-C", "customerKeyMd5": digest}
	require.Equal(t, want, c.upload("c", "x", sse...).body["serverSideEncryption"])
	require.Equal(t, 400, c.download(http.MethodGet, "/file/"+s.Bucket()+"/c").status)
	down := c.download(http.MethodGet, "/file/"+s.Bucket()+"/c", sse...)
	require.Equal(t, "x", string(down.raw))
	require.Equal(t, digest, down.header.Get(prefix+"Key-Md5"))
	require.Equal(t, 400, c.download(http.MethodGet, "/file/"+s.Bucket()+"/b2", sse...).status, "a key for what has none")

	start := c.must("b2_start_large_file", fields{
		"bucketId": c.bucket, "fileName": "l", "contentType": "a/b",
		"serverSideEncryption": fields{"mode": "SSE-C", "algorithm": "AES256", "customerKey": key, "customerKeyMd5": digest},
	})
	require.Equal(t, want, start.body["serverSideEncryption"])
	u := c.partURL(start.str("fileId"))
	require.Equal(t, want, c.partTo(u, 1, "x", sse...).body["serverSideEncryption"])
	require.Equal(t, 400, c.partTo(u, 1, "x").status, "a part without the key")
	require.Equal(t, 400, c.uploadTo(c.fileURL(), "f", "x", prefix+"Algorithm", "AES256", prefix+"Key", key, prefix+"Key-Md5", "no").status)
}

func TestRetentionAndLegalHold(t *testing.T) {
	s := newServer(t, nil)
	locked, err := s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(t, err)
	c := login(t, s)
	until := s.Now().UnixMilli() + 1000
	lock := []string{
		"X-Bz-File-Retention-Mode", "governance", "X-Bz-File-Retention-Retain-Until-Timestamp", fmt.Sprint(until),
		"X-Bz-File-Legal-Hold", "off",
	}
	require.Equal(t, "bucket_missing_file_lock", c.uploadTo(c.fileURL(), "f", "x", lock...).str("code"))

	c.bucket = locked.ID
	a := c.upload("f", "x", lock...)
	require.Equal(t, fields{
		"isClientAuthorizedToRead": true,
		"value":                    fields{"mode": "governance", "retainUntilTimestamp": float64(until)},
	}, a.body["fileRetention"])
	require.Equal(t, fields{"isClientAuthorizedToRead": true, "value": "off"}, a.body["legalHold"])
	remove := fields{"fileName": "f", "fileId": a.str("fileId")}
	require.Equal(t, "access_denied", c.call("b2_delete_file_version", remove).str("code"))
	remove["bypassGovernance"] = true
	c.must("b2_delete_file_version", remove)

	held := c.upload("held", "x", "X-Bz-File-Legal-Hold", "on").str("fileId")
	require.Equal(t, "access_denied", c.call("b2_delete_file_version", fields{"fileName": "held", "fileId": held}).str("code"))

	deleter, err := s.AddKey(b2test.Key{Capabilities: []string{"deleteFiles"}})
	require.NoError(t, err)
	remove["fileId"] = c.upload("f", "x", lock...).str("fileId")
	loginAs(t, s, deleter).refused("b2_delete_file_version", remove, 401, "unauthorized", "")

	plain, err := s.AddKey(b2test.Key{Capabilities: []string{"writeFiles"}})
	require.NoError(t, err)
	c = loginAs(t, s, plain)
	c.bucket = locked.ID
	require.Equal(t, "unauthorized", c.uploadTo(c.fileURL(), "f", "x", lock...).str("code"))
	require.Equal(t, fields{"isClientAuthorizedToRead": false, "value": nil}, c.upload("f", "x").body["fileRetention"])
}

func TestCustomTimestampsAreForTheFew(t *testing.T) {
	c := login(t, newServer(t, nil))
	a := c.uploadTo(c.fileURL(), "f", "x", "X-Bz-Custom-Upload-Timestamp", "1000")
	require.Equal(t, "custom_timestamp_not_allowed", a.str("code"))
	c = login(t, newServer(t, &b2test.Options{CustomTimestamps: true}))
	require.EqualValues(t, 1000, c.upload("f", "x", "X-Bz-Custom-Upload-Timestamp", "1000").body["uploadTimestamp"])
	a = c.uploadTo(c.fileURL(), "f", "x", "X-Bz-Custom-Upload-Timestamp", "99999999999999")
	require.Equal(t, "custom_timestamp_invalid", a.str("code"))
}

// halfway begins an upload through u and returns when the server has taken the
// URL and reads the body. The function it returns sends the rest of the body.
func (c *client) halfway(u uploadURL, name, body string) func() answer {
	reading := make(chan struct{})
	ctx := httptrace.WithClientTrace(c.t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, pr)
	require.NoError(c.t, err)
	req.ContentLength = int64(len(body))
	req.Header = headers("Authorization", u.token, "X-Bz-File-Name", name, "Content-Type", "a/b",
		"X-Bz-Content-Sha1", sum(body), "Expect", "100-continue")
	done := make(chan answer, 1)
	go func() { done <- c.do(req) }()
	<-reading
	return func() answer {
		_, err := io.WriteString(pw, body)
		require.NoError(c.t, err)
		return <-done
	}
}

func TestUploadURLTakesOneUploadAtATime(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	u := c.fileURL()
	rest := c.halfway(u, "first", "abcd")
	requireError(t, c.uploadTo(u, "second", "x"), 400, "auth_token_limit", "more than one upload using auth token "+u.token)
	require.Equal(t, 200, rest().status, "the upload in progress goes on")
	require.Equal(t, 200, c.uploadTo(u, "third", "x").status, "and the URL serves again")
	require.ErrorContains(t, s.Check(), "more than one upload at a time")
}

func TestRefusalEndsTheUploadURL(t *testing.T) {
	for status, dead := range map[int]bool{500: true, 503: true, 408: true, 401: true, 400: true, 429: false, 403: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newServer(t, nil)
			c := login(t, s)
			u := c.fileURL()
			require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_file", Status: status}))
			require.Equal(t, status, c.uploadTo(u, "f", "x").status)
			a := c.uploadTo(u, "f", "x")
			if !dead {
				require.Equal(t, 200, a.status)
				return
			}
			requireError(t, a, 401, "bad_auth_token", "Invalid authorization token")
		})
	}
}

func TestAnUploadURLEndsWithItsBucket(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	b, err := s.AddBucket(b2test.Bucket{Name: "short-lived"})
	require.NoError(t, err)
	c.bucket = b.ID
	u, busy := c.fileURL(), c.fileURL()
	rest := c.halfway(busy, "late", "abcd")
	c.must("b2_delete_bucket", fields{"accountId": s.AccountID(), "bucketId": b.ID})
	for _, a := range []answer{c.uploadTo(u, "f", "x"), rest()} {
		requireError(t, a, 400, "bad_bucket_id", "Bucket "+b.ID+" does not exist")
	}
}

func TestURLSurviving400AndDeadURL503AreSwitches(t *testing.T) {
	s := newServer(t, &b2test.Options{Uncertain: b2test.Uncertain{URLSurvives400: true, DeadURL503: true}})
	c := login(t, s)
	u := c.fileURL()
	require.Equal(t, 400, c.uploadTo(u, "f", "x", "X-Bz-Content-Sha1", sum("y")).status)
	require.Equal(t, 200, c.uploadTo(u, "f", "x").status)
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_file"}))
	require.Equal(t, 503, c.uploadTo(u, "f", "x").status)
	require.Equal(t, 503, c.uploadTo(u, "f", "x").status)
}

func TestDiscardingAllocatesNoBodies(t *testing.T) {
	const uploads, size = 20, 1 << 20
	c := login(t, newServer(t, &b2test.Options{Discard: true, TrustSHA1: true}))
	u := c.fileURL()
	body := strings.Repeat("x", size)
	h := headers("X-Bz-File-Name", "f", "Content-Type", "a/b", "X-Bz-Content-Sha1", sum(body))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range uploads {
		require.Equal(t, 200, c.put(u, strings.NewReader(body), h).status)
	}
	runtime.ReadMemStats(&after)
	// Under the race detector a pool forgets at random; half of what was sent
	// is far from keeping any of it.
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(uploads*size/2))
}
