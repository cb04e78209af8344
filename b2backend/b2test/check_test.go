package b2test_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestCheckFindsUnfinishedFilesThatNobodyExpects(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	c.start("kept")
	s.ExpectUnfinished("kept")
	require.NoError(t, s.Check())
	c.start("forgotten")
	require.ErrorContains(t, s.Check(), "forgotten")
}

func TestCheckFindsRequestsAfterFinish(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.large("l", ten, "x")
	c.must("b2_get_file_info", fields{"fileId": id})
	c.finish(id, nil)
	c.call("b2_list_parts", fields{"fileId": id})
	require.NoError(t, s.Check(), "looking up, and finishing again, is fair")
	c.call("b2_get_upload_part_url", fields{"fileId": id})
	require.ErrorContains(t, s.Check(), "b2_get_upload_part_url: sent after the finish of l")
}

func TestCheckForgivesARequestThatWasCutOffAndOvertaken(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.start("l")
	digests := c.parts(id, ten, "x")
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.api, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	body := `{"fileId":"` + id + `"}`
	_, err = fmt.Fprintf(conn, "POST /b2api/v4/b2_get_upload_part_url HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n", c.token, len(body))
	require.NoError(t, err)
	require.Equal(t, 200, c.finish(id, digests).status)
	asked := s.Count("b2_get_upload_part_url")
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	waitFor(t, func() bool { return s.Count("b2_get_upload_part_url") > asked })
	s.Close()
	require.NoError(t, s.Check())
}

func TestCheckFindsCancelAfterLostFinish(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.LoseAnswer})
	id := c.start("l")
	c.finish(id, c.parts(id, ten, "x"))
	c.call("b2_cancel_large_file", fields{"fileId": id})
	require.ErrorContains(t, s.Check(), "b2_cancel_large_file: sent while the outcome of the finish of l")
}

func TestCheckFindsCancelDuringFinish(t *testing.T) {
	release := make(chan struct{})
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Wait, Hold: release})
	id := c.start("l")
	digests := c.parts(id, ten, "x")
	done := make(chan answer)
	go func() { done <- c.finish(id, digests) }()
	waitFor(t, func() bool { return s.Fired()[0] == 1 })
	c.must("b2_list_parts", fields{"fileId": id}) // settles nothing: the finish is at work
	c.cancel(id)
	close(release)
	<-done
	require.ErrorContains(t, s.Check(), "outcome of the finish of l")
}

func TestLookingUpSettlesAFinish(t *testing.T) {
	for name, look := range map[string]func(c *client, id string){
		"info":     func(c *client, id string) { c.call("b2_get_file_info", fields{"fileId": id}) },
		"parts":    func(c *client, id string) { c.call("b2_list_parts", fields{"fileId": id}) },
		"versions": func(c *client, _ string) { c.call("b2_list_file_versions", fields{"bucketId": c.bucket}) },
		"unfinished": func(c *client, _ string) {
			c.call("b2_list_unfinished_large_files", fields{"bucketId": c.bucket})
		},
		"again": func(c *client, id string) { c.finish(id, nil) },
		"head": func(c *client, id string) {
			c.download(http.MethodHead, "/b2api/v4/b2_download_file_by_id?fileId="+id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop})
			id := c.start("l")
			require.Zero(t, c.finish(id, c.parts(id, ten, "x")).status)
			look(c, id)
			c.cancel(id)
			require.NoError(t, s.Check())
		})
	}
}

func TestAListSettlesTheFinishesOfTheFilesThatItShows(t *testing.T) {
	for name, list := range map[string]func(c *client){
		"another page": func(c *client) {
			c.must("b2_list_file_versions", fields{"bucketId": c.bucket, "startFileName": "a", "maxFileCount": 1})
		},
		"another prefix": func(c *client) {
			c.must("b2_list_unfinished_large_files", fields{"bucketId": c.bucket, "namePrefix": "a"})
		},
		"finished files": func(c *client) { c.must("b2_list_file_names", fields{"bucketId": c.bucket}) },
		"a folder": func(c *client) {
			c.must("b2_list_file_versions", fields{"bucketId": c.bucket, "delimiter": "/"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop})
			c.upload("a", "x")
			id := c.start("dir/l")
			c.finish(id, c.parts(id, ten, "x"))
			list(c)
			c.cancel(id)
			require.ErrorContains(t, s.Check(), "outcome of the finish of dir/l")
		})
	}
}

func TestADownloadAuthorizationSettlesNoFinish(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop})
	id := c.start("l")
	c.finish(id, c.parts(id, ten, "x"))
	c.must("b2_get_download_authorization", fields{"bucketId": c.bucket, "fileNamePrefix": "", "validDurationInSeconds": 60})
	c.cancel(id)
	require.ErrorContains(t, s.Check(), "outcome of the finish of l")
}

func TestCheckFindsCancelAfterDroppedFinish(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop})
	id := c.start("l")
	c.finish(id, c.parts(id, ten, "x"))
	c.cancel(id)
	require.ErrorContains(t, s.Check(), "outcome of the finish of l", "the client cannot know that nothing was done")
}

func TestRefusedFinishIsNotDone(t *testing.T) {
	for _, status := range []int{401, 429, 503} {
		s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Status: status})
		id := c.start("busy")
		c.finish(id, c.parts(id, ten, "x"))
		c.cancel(id)
		require.NoError(t, s.Check())
	}
}

func TestRefusedFinishSaysNothingOfAnEarlierOne(t *testing.T) {
	s, c := faulty(t,
		b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.LoseAnswer},
		b2test.Fault{Call: "b2_finish_large_file", Status: 503},
	)
	id := c.start("l")
	digests := c.parts(id, ten, "x")
	c.finish(id, digests)
	require.Equal(t, 503, c.finish(id, digests).status)
	c.call("b2_cancel_large_file", fields{"fileId": id})
	require.ErrorContains(t, s.Check(), "outcome of the finish of l")
}

func TestGatewayAnswerLeavesAFinishOpen(t *testing.T) {
	s, c := faulty(t, b2test.Fault{Call: "b2_finish_large_file", Status: 504})
	id := c.start("l")
	c.finish(id, c.parts(id, ten, "x"))
	c.cancel(id)
	require.ErrorContains(t, s.Check(), "outcome of the finish of l")
}

func TestCheckFindsAuthorizeStorms(t *testing.T) {
	s := newServer(t, &b2test.Options{MaxAuthorize: 3})
	c := login(t, s)
	k := b2test.Key{ID: s.KeyID(), Secret: s.Key()}
	for range 5 {
		s.Advance(20 * time.Second)
		c.authorize(4, k)
	}
	require.NoError(t, s.Check())
	c.authorize(4, k)
	require.ErrorContains(t, s.Check(), "4 authorize calls within a minute")
}

func TestCheckCountsUploadURLs(t *testing.T) {
	s := newServer(t, &b2test.Options{MaxUploadURLs: 1})
	c := login(t, s)
	c.fileURL()
	require.NoError(t, s.Check())
	c.fileURL()
	require.ErrorContains(t, s.Check(), "2 upload URLs")
}

func TestCheckFindsAccountTokenOnUploadHost(t *testing.T) {
	s := newServer(t, nil)
	c := login(t, s)
	u := c.fileURL()
	c.uploadTo(uploadURL{u.url, c.token}, "f", "x")
	require.ErrorContains(t, s.Check(), "account token sent to an upload host")
}

func TestLogSaysWhatArrivedAndHoldsNoCredential(t *testing.T) {
	s := newServer(t, small())
	c := login(t, s)
	id := c.start("l")
	u := c.partURL(id)
	c.partTo(u, 3, "abc")
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Kind: b2test.Drop}))
	c.partTo(u, 4, "abc")
	log := s.Requests()
	require.Len(t, log, 5)
	part := log[3]
	require.Equal(t, b2test.Request{
		Time: part.Time, Host: "upload", Method: "POST", Path: u.url[len(u.url)-len(part.Path):], Version: 4,
		Call: "b2_upload_part", FileID: id, Name: "l", Part: 3, Bytes: 3, Status: 200,
	}, part)
	require.Equal(t, b2test.Drop, log[4].Fault)
	require.Zero(t, log[4].Status)
	require.Equal(t, 2, s.Count("b2_upload_part"))
}
