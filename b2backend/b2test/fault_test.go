package b2test_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// faulty starts a server with faults, and logs in before they can strike.
func faulty(t *testing.T, faults ...b2test.Fault) (*b2test.Server, *client) {
	s := newServer(t, small())
	c := login(t, s)
	require.NoError(t, s.Inject(faults...))
	return s, c
}

func TestFaultAnswersItsStatusCodeMessageAndRetryAfter(t *testing.T) {
	for _, retry := range []string{"", "7", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"} {
		s, c := faulty(t, b2test.Fault{
			Call: "b2_upload_file", Status: 429, Code: "too_many_requests", Message: "slow down", RetryAfter: retry,
		})
		a := c.uploadTo(c.fileURL(), "f", "x")
		requireError(t, a, 429, "too_many_requests", "slow down")
		require.Equal(t, retry, a.header.Get("Retry-After"))
		require.Empty(t, s.Files(s.Bucket()))
	}
}

func TestFaultCodeGoesWithItsStatus(t *testing.T) {
	for status, code := range map[int]string{
		401: "bad_auth_token", 403: "storage_cap_exceeded", 408: "request_timeout", 429: "too_many_requests",
		500: "internal_error", 503: "service_unavailable",
	} {
		_, c := faulty(t, b2test.Fault{Status: status})
		require.Equal(t, code, c.call("b2_get_upload_url", fields{"bucketId": c.bucket}).str("code"))
	}
}

func TestGatewaysAnswerHTML(t *testing.T) {
	_, c := faulty(t, b2test.Fault{Status: 502}, b2test.Fault{Status: 403, Code: "access_denied", Gateway: true})
	for _, status := range []int{502, 403} {
		a := c.call("b2_get_upload_url", fields{"bucketId": c.bucket})
		require.Equal(t, status, a.status)
		require.Equal(t, "text/html", a.header.Get("Content-Type"))
		require.Contains(t, string(a.raw), "<html>")
	}
}

func TestFaultsAreForACallAPartAndTheNthTime(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_upload_part", Part: 2, Skip: 1, Count: 2})
	id := c.start("l")
	put := func(number int) int { return c.partTo(c.partURL(id), number, "x").status }
	require.Equal(t, []int{200, 200, 200, 503, 200, 503, 200},
		[]int{put(1), put(2), put(3), put(2), put(1), put(2), put(2)})
	require.Equal(t, []int{2}, s.Fired())
	s.ClearFaults()
	require.Empty(t, s.Fired())
}

func TestFaultsFireInOrder(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Status: 500}, b2test.Fault{Status: 503, Count: -1})
	get := func() int { return c.call("b2_get_upload_url", fields{"bucketId": c.bucket}).status }
	require.Equal(t, []int{500, 503, 503}, []int{get(), get(), get()})
	require.Equal(t, []int{1, 2}, s.Fired())
}

func TestFaultsThatCannotBeAreRefused(t *testing.T) {
	s := newServer(t, nil)
	for _, f := range []b2test.Fault{
		{Kind: "unheard-of"}, {Call: "b2_unheard_of"}, {Status: 200}, {Skip: -1}, {Kind: b2test.SlowBody},
	} {
		require.Error(t, s.Inject(b2test.Fault{}, f), "%+v", f)
	}
	require.Empty(t, s.Fired(), "a bad fault keeps the good ones out")
}

func TestEarlyRefusalComesBeforeTheBody(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_upload_file", Kind: b2test.RefuseEarly, Status: 503})
	u := c.fileURL()
	i := strings.Index(u.url, "/b2api")
	// No byte of the body is ever sent.
	block := rawAnswer(t, u.url[:i], "POST "+u.url[i:]+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+u.token+
		"\r\nContent-Length: 10000000\r\n\r\n")
	require.Contains(t, block, "503")
	require.Contains(t, block, "Connection: close")
	require.Equal(t, []int{1}, s.Fired())
}

func TestDroppedConnectionsDoNoWork(t *testing.T) {
	for _, kind := range []b2test.FaultKind{b2test.Drop, b2test.DropEarly, b2test.DropMidBody} {
		s, c := faulty(t, b2test.Fault{Call: "b2_upload_file", Kind: kind})
		require.Zero(t, c.uploadTo(c.fileURL(), "f", strings.Repeat("x", 1000)).status)
		require.Empty(t, s.Files(s.Bucket()))
	}
}

func TestLostAnswersAreOfWorkDone(t *testing.T) {
	for _, status := range []int{0, 504} {
		s, c := faulty(t,
			b2test.Fault{Call: "b2_upload_file", Kind: b2test.LoseAnswer, Status: status},
			b2test.Fault{Call: "b2_start_large_file", Kind: b2test.LoseAnswer, Status: status},
			b2test.Fault{Call: "b2_upload_part", Kind: b2test.LoseAnswer, Status: status},
			b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.LoseAnswer, Status: status},
			b2test.Fault{Call: "b2_cancel_large_file", Kind: b2test.LoseAnswer, Status: status},
		)
		require.Equal(t, status, c.uploadTo(c.fileURL(), "f", "x").status)
		require.Equal(t, "x", content(t, s, "f"))
		start := fields{"bucketId": c.bucket, "fileName": "lost", "contentType": "a/b"}
		require.Equal(t, status, c.call("b2_start_large_file", start).status)
		lost := s.Unfinished()[0]
		require.Equal(t, "lost", lost.Name)
		require.Equal(t, status, c.call("b2_cancel_large_file", fields{"fileId": lost.ID}).status)
		require.Empty(t, s.Unfinished())

		id := c.start("l")
		require.Equal(t, status, c.partTo(c.partURL(id), 1, ten).status)
		require.Equal(t, []int{1}, s.Unfinished()[0].Parts)
		c.partTo(c.partURL(id), 2, "x")
		require.Equal(t, status, c.finish(id, []string{sum(ten), sum("x")}).status)
		require.Equal(t, ten+"x", content(t, s, "l"))
		requireError(t, c.finish(id, []string{sum(ten), sum("x")}), 400, "bad_request", "No active upload for: "+id)
	}
}

func TestStallEndsWhenTheClientGoes(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_upload_file", Kind: b2test.Stall})
	u := c.fileURL()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, reader("x"))
	require.NoError(t, err)
	req.Header = headers("Authorization", u.token, "X-Bz-File-Name", "f", "Content-Type", "a/b", "X-Bz-Content-Sha1", sum("x"))
	done := make(chan answer)
	go func() { done <- c.do(req) }()
	waitFor(t, func() bool { return s.Fired()[0] == 1 })
	require.Equal(t, "auth_token_limit", c.uploadTo(u, "f", "x").str("code"), "the stalled upload holds the URL")
	cancel()
	require.Zero(t, (<-done).status)
	waitFor(t, func() bool { return s.Count("b2_upload_file") == 2 })
	require.Empty(t, s.Files(s.Bucket()))
}

func TestCloseReleasesWhatWaits(t *testing.T) {
	s, c := faulty(t,
		b2test.Fault{Call: "b2_get_upload_url", Kind: b2test.Stall},
		b2test.Fault{Call: "b2_list_file_names", Kind: b2test.Wait, Delay: time.Hour},
		b2test.Fault{Call: "b2_list_file_versions", Kind: b2test.Wait, Hold: make(chan struct{})},
	)
	done := make(chan answer)
	for _, call := range []string{"b2_get_upload_url", "b2_list_file_names", "b2_list_file_versions"} {
		go func() { done <- c.call(call, fields{"bucketId": c.bucket}) }()
	}
	waitFor(t, func() bool { f := s.Fired(); return f[0]+f[1]+f[2] == 3 })
	ended := len(s.Requests())
	s.Close()
	require.Len(t, s.Requests(), ended+3, "Close waits for the handlers")
	for range 3 {
		require.Zero(t, (<-done).status)
	}
}

func TestHeldFinishCompletesAfterTheClientHasGone(t *testing.T) {
	release := make(chan struct{})
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Wait, Hold: release})
	id := c.start("l")
	digests := c.parts(id, ten, "x")
	done := make(chan answer)
	c.http.Transport.(*http.Transport).ResponseHeaderTimeout = 20 * time.Millisecond
	go func() { done <- c.finish(id, digests) }()
	require.Zero(t, (<-done).status)
	c.http.Transport.(*http.Transport).ResponseHeaderTimeout = 0
	require.Len(t, s.Unfinished(), 1)
	close(release)
	waitFor(t, func() bool { return s.Count("b2_finish_large_file") == 1 })
	require.Equal(t, ten+"x", content(t, s, "l"))
}

func TestSlowBodyTakesItsTime(t *testing.T) {
	_, c := faulty(t, b2test.Fault{Call: "b2_upload_file", Kind: b2test.SlowBody, Rate: 20_000})
	began := time.Now()
	c.upload("f", strings.Repeat("x", 1000))
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
}

func TestLinkHasLatencyAndBandwidth(t *testing.T) {
	s := newServer(t, &b2test.Options{Latency: 5 * time.Millisecond, Bandwidth: 20_000})
	c := login(t, s)
	began := time.Now()
	u := c.fileURL()
	require.GreaterOrEqual(t, time.Since(began), 5*time.Millisecond)
	began = time.Now()
	c.uploadTo(u, "f", strings.Repeat("x", 1000))
	require.GreaterOrEqual(t, time.Since(began), 55*time.Millisecond)
	began = time.Now()
	require.Len(t, c.download(http.MethodGet, "/file/"+s.Bucket()+"/f").raw, 1000)
	require.GreaterOrEqual(t, time.Since(began), 55*time.Millisecond)
}

func TestSpoiledAnswersAreOfWorkDone(t *testing.T) {
	for kind, looks := range map[b2test.FaultKind]func(answer) bool{
		b2test.Truncate:    func(a answer) bool { return a.status == 0 && len(a.raw) > 100 },
		b2test.Garbage:     func(a answer) bool { return a.status == 200 && a.body == nil && len(a.raw) > 0 },
		b2test.WrongSHA1:   func(a answer) bool { return a.status == 200 && a.str("contentSha1") == strings.Repeat("0", 40) },
		b2test.WrongLength: func(a answer) bool { return a.status == 200 && a.body["contentLength"] == float64(2) },
	} {
		s, c := faulty(t, b2test.Fault{Call: "b2_upload_file", Kind: kind})
		require.True(t, looks(c.uploadTo(c.fileURL(), "f", "x")), kind)
		require.Equal(t, "x", content(t, s, "f"))
	}
}

func TestTruncatedDownload(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_download_file_by_name", Kind: b2test.Truncate})
	c.upload("f", ten)
	require.Equal(t, ten[:5], string(c.download(http.MethodGet, "/file/"+s.Bucket()+"/f").raw))
}

func TestExpireTokenEndsTheTokenOfTheRequest(t *testing.T) {
	_, c := faulty(t,
		b2test.Fault{Call: "b2_upload_file", Kind: b2test.ExpireToken},
		b2test.Fault{Call: "b2_get_upload_url", Skip: 1, Kind: b2test.ExpireToken},
	)
	u := c.fileURL()
	require.Equal(t, "expired_auth_token", c.uploadTo(u, "f", "x").str("code"))
	require.Equal(t, 401, c.uploadTo(u, "f", "x").status)
	for range 2 {
		c.refused("b2_get_upload_url", fields{"bucketId": c.bucket}, 401, "expired_auth_token", "Authorization token has expired")
	}
}

func TestFullVaultHasNoURLForThatFileAgain(t *testing.T) {
	_, c := faulty(t, b2test.Fault{Call: "b2_get_upload_part_url", Kind: b2test.VaultFull})
	id := c.start("l")
	for range 2 {
		a := c.call("b2_get_upload_part_url", fields{"fileId": id})
		require.Equal(t, "service_unavailable", a.str("code"))
		require.Regexp(t, `^No uploads available in vault 000\d{4}$`, a.str("message"))
	}
	c.partURL(c.start("other"))
}

func TestFaultsPassByWhatTheyCannotBefall(t *testing.T) {
	s := newServer(t, nil)
	require.NoError(t, s.Inject(b2test.Fault{Kind: b2test.VaultFull}, b2test.Fault{Kind: b2test.ExpireToken}))
	c := login(t, s)
	require.Equal(t, []int{0, 0}, s.Fired())
	require.Equal(t, 401, c.call("b2_get_upload_url", fields{"bucketId": c.bucket}).status)
	require.Equal(t, []int{0, 1}, s.Fired())
}

func TestTestModeHeader(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	const header = "X-Bz-Test-Mode"
	req, err := http.NewRequest(http.MethodPost, c.api+"/b2api/v4/b2_list_file_names", strings.NewReader(`{"bucketId":"`+c.bucket+`"}`))
	require.NoError(t, err)
	req.Header = headers("Authorization", c.token, header, "fail_some_uploads")
	require.Equal(t, 200, c.do(req).status, "no upload")
	require.Equal(t, 503, c.uploadTo(c.fileURL(), "f", "x", header, "fail_some_uploads").status)
	require.Equal(t, 200, c.uploadTo(c.fileURL(), "f", "x", header, "fail_some_uploads").status)
	req, err = http.NewRequest(http.MethodPost, c.api+"/b2api/v4/b2_list_file_names", strings.NewReader(`{"bucketId":"`+c.bucket+`"}`))
	require.NoError(t, err)
	req.Header = headers("Authorization", c.token, header, "expire_some_account_authorization_tokens")
	require.Equal(t, "expired_auth_token", c.do(req).str("code"))
}

func TestForcedCapIsMetByTheCallsThatStore(t *testing.T) {
	c := login(t, newServer(t, small()))
	id, small := c.start("l"), c.upload("f", "x").str("fileId")
	url, partURL := c.fileURL(), c.partURL(id)
	c.header = headers("X-Bz-Test-Mode", "force_cap_exceeded")
	for call, in := range map[string]fields{
		"b2_get_upload_url":      {"bucketId": c.bucket},
		"b2_start_large_file":    {"bucketId": c.bucket, "fileName": "g", "contentType": "a/b"},
		"b2_get_upload_part_url": {"fileId": id},
		"b2_copy_part":           {"sourceFileId": small, "largeFileId": id, "partNumber": 1},
		"b2_copy_file":           {"sourceFileId": small, "fileName": "g"},
	} {
		require.Equal(t, "storage_cap_exceeded", c.call(call, in).str("code"), call)
	}
	require.Equal(t, "storage_cap_exceeded", c.uploadTo(url, "g", "x").str("code"))
	require.Equal(t, "storage_cap_exceeded", c.partTo(partURL, 1, "x").str("code"))

	c.header = nil
	digests := c.parts(id, ten, "x")
	c.header = headers("X-Bz-Test-Mode", "force_cap_exceeded")
	c.must("b2_list_parts", fields{"fileId": id})
	require.Equal(t, 200, c.finish(id, digests).status)
	c.must("b2_hide_file", fields{"bucketId": c.bucket, "fileName": "f"})
}
