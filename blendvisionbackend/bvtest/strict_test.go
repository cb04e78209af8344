package bvtest_test

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

func TestOpenRefusesBadRequests(t *testing.T) {
	c := start(t, nil)
	for name, body := range map[string]string{
		"no JSON":          `file`,
		"two values":       `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":1}}{}`,
		"unknown field":    `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":1,"part_size":5}}`,
		"no source":        `{"file":{"name":"a","size":1}}`,
		"unknown source":   `{"file":{"source":"FILE_SOURCE_TAPE","name":"a","size":1}}`,
		"unknown type":     `{"file":{"source":"FILE_SOURCE_STT","type":"FILE_TYPE_TAPE","name":"a","size":1}}`,
		"no name":          `{"file":{"source":"FILE_SOURCE_STT","size":1}}`,
		"no size":          `{"file":{"source":"FILE_SOURCE_STT","name":"a"}}`,
		"size 0":           `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":"0"}}`,
		"size over 70 GB":  `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":"70000000001"}}`,
		"size no integer":  `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":1.5}}`,
		"attrs not a text": `{"file":{"source":"FILE_SOURCE_STT","name":"a","size":1,"attrs":{"k":1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := c.call(":upload", body)
			require.Equal(t, http.StatusBadRequest, a.status, "%s", a.body)
			require.Equal(t, 3, a.code(t))
		})
	}
	require.Empty(t, c.server.Sessions())
}

func TestEmptyFileIDIsAnInvalidArgument(t *testing.T) {
	c := start(t, nil)
	for _, verb := range []string{"complete-upload", "cancel-upload", "download"} {
		a := c.call("/:"+verb, `{}`)
		require.Equal(t, http.StatusBadRequest, a.status, "%s", a.body)
		require.Equal(t, 3, a.code(t))
	}
}

func TestAPIAsksForBothCredentials(t *testing.T) {
	c := start(t, &bvtest.Options{Token: "token", OrgID: "org"})
	for name, v := range map[string]struct {
		headers []string
		code    int
	}{
		"none":             {nil, 16},
		"another token":    {[]string{"Authorization", "Bearer other", "X-Bv-Org-Id", "org"}, 16},
		"no bearer":        {[]string{"Authorization", "token", "X-Bv-Org-Id", "org"}, 16},
		"no organization":  {[]string{"Authorization", "Bearer token"}, 7},
		"another one":      {[]string{"Authorization", "Bearer token", "X-Bv-Org-Id", "other"}, 7},
		"both, not JSON":   {[]string{"Authorization", "Bearer token", "X-Bv-Org-Id", "org"}, 3},
		"both, other JSON": {[]string{"Authorization", "Bearer token", "X-Bv-Org-Id", "org", "Content-Type", "text/json"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.send(http.MethodPost, c.server.URL()+"/bv/cms/v1/library/files:upload", []byte("{}"), v.headers...)
			require.Equal(t, v.code, a.code(t), "%s", a.body)
		})
	}
}

func TestUnknownPathsAndMethodsAreRefused(t *testing.T) {
	c := start(t, nil)
	for _, path := range []string{"", "/x", "/x:renew", ":complete-upload", "/x:upload", ":upload?a=b"} {
		require.Equal(t, http.StatusNotFound, c.call(path, "{}").status, path)
	}
	a := c.send(http.MethodGet, c.server.URL()+"/bv/cms/v1/library/files:upload", nil)
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, 5, c.call("/unknown:download", "{}").code(t))
}

// xmlCode reads the object store's error.
func xmlCode(t *testing.T, a answer) string {
	var e struct {
		Code string
	}
	require.NoError(t, xml.Unmarshal(a.body, &e), "%s", a.body)
	return e.Code
}

func TestPresignedURLsCannotBeAltered(t *testing.T) {
	c := start(t, &bvtest.Options{Parts: 2})
	u := c.open(2)
	first, second := u.UploadData.Parts[0].URL, u.UploadData.Parts[1].URL
	path, query, _ := strings.Cut(first, "?")
	otherPath, otherQuery, _ := strings.Cut(second, "?")
	for name, url := range map[string]string{
		"no signature":         path,
		"another part's":       path + "?" + otherQuery,
		"for another part":     otherPath + "?" + query,
		"a later expiry":       strings.Replace(first, "expires=", "expires=9", 1),
		"another part in it":   strings.Replace(first, "part=0", "part=1", 1),
		"a path nobody signed": path + "0?" + query,
	} {
		t.Run(name, func(t *testing.T) {
			a := c.put(url, []byte("x"))
			require.Equal(t, http.StatusForbidden, a.status)
			require.Equal(t, "SignatureDoesNotMatch", xmlCode(t, a))
		})
	}
	require.Equal(t, http.StatusForbidden, c.send(http.MethodGet, first, nil).status, "nor be used to read")
	require.Equal(t, http.StatusOK, c.put(first, []byte("x")).status)
}

func TestPresignedURLsExpireByTheServersClock(t *testing.T) {
	c := start(t, &bvtest.Options{
		URLLife: time.Minute,
		Now:     func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) },
	})
	u := c.open(1)
	c.server.Advance(59 * time.Second)
	require.Equal(t, http.StatusOK, c.put(u.UploadData.Parts[0].URL, []byte("x")).status)
	c.server.Advance(time.Second)
	a := c.put(u.UploadData.Parts[0].URL, []byte("x"))
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "AccessDenied", xmlCode(t, a))
	require.Equal(t, time.Date(2024, 5, 6, 7, 9, 9, 0, time.UTC), c.server.Now())
}

func TestObjectStoreRefusesCredentials(t *testing.T) {
	for _, header := range []string{"Authorization", "X-Bv-Org-Id"} {
		t.Run(header, func(t *testing.T) {
			c := start(t, nil)
			u := c.open(1)
			a := c.send(http.MethodPut, u.UploadData.Parts[0].URL, []byte("x"),
				"Content-Type", "application/octet-stream", header, "secret")
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Equal(t, http.StatusOK, c.cancel(u).status)
			require.EqualError(t, c.server.Check(), "bvtest: the object store was sent the header "+header)
		})
	}
}

func TestObjectStoreRefusesBadParts(t *testing.T) {
	c := start(t, nil)
	url := c.open(1).UploadData.Parts[0].URL

	a := c.send(http.MethodPut, url, []byte("x"), "Content-Type", "text/plain")
	require.Equal(t, "InvalidRequest", xmlCode(t, a))
	a = c.send(http.MethodPost, url, []byte("x"))
	require.Equal(t, http.StatusMethodNotAllowed, a.status)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, struct{ *strings.Reader }{strings.NewReader("x")})
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusLengthRequired, resp.StatusCode)

	// The head of a request alone, so that a large Content-Length needs no large body.
	conn, err := net.Dial("tcp", req.URL.Host)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\n"+
		"Content-Length: %d\r\n\r\n", req.URL.RequestURI(), req.URL.Host, int64(5<<30+1))
	require.NoError(t, err)
	resp, err = http.ReadResponse(bufio.NewReader(conn), req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
}

func TestCheckReportsWhatNoCorrectClientDoes(t *testing.T) {
	t.Run("a session left open", func(t *testing.T) {
		c := start(t, nil)
		c.open(1)
		require.EqualError(t, c.server.Check(), `bvtest: the session of "talk.mp4" was neither completed nor cancelled`)
	})
	t.Run("a part after the end", func(t *testing.T) {
		inBubble(t, bvtest.Options{}, func(c client) {
			u := c.open(1)
			c.cancel(u)
			require.Equal(c.t, "NoSuchUpload", xmlCode(c.t, c.put(u.UploadData.Parts[0].URL, []byte("x"))))
			require.EqualError(c.t, c.server.Check(), "bvtest: put of a part to a session that is cancelled")
		})
	})
	t.Run("a completed session completed and cancelled", func(t *testing.T) {
		inBubble(t, bvtest.Options{}, func(c client) {
			u := c.open(1)
			etag := c.put(u.UploadData.Parts[0].URL, []byte("x")).header.Get("ETag")
			request := u.completion(c.t, []string{etag}, []byte("x"))
			require.Equal(c.t, http.StatusOK, c.complete(u, request).status)
			require.Equal(c.t, 10, c.complete(u, request).code(c.t))
			require.Equal(c.t, 10, c.cancel(u).code(c.t))
			require.EqualError(c.t, c.server.Check(), "bvtest: complete-upload of a session that is completed\n"+
				"bvtest: cancel-upload of a session that is completed")
			require.Equal(c.t, bvtest.Completed, c.server.Sessions()[0].State)
		})
	})
	t.Run("a cancelled session completed, whatever answers were lost", func(t *testing.T) {
		c := start(t, nil)
		c.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.LoseAnswer})
		u := c.open(1)
		require.Error(t, c.cancel(u).err)
		require.Equal(t, 10, c.complete(u, u.completion(t, nil, nil)).code(t))
		require.EqualError(t, c.server.Check(), "bvtest: complete-upload of a session that is cancelled")
	})
	t.Run("a fault that never fired", func(t *testing.T) {
		c := start(t, nil)
		c.inject(bvtest.Fault{Call: bvtest.CallUpload, Kind: bvtest.Refuse, Skip: 1})
		c.cancel(c.open(1))
		require.EqualError(t, c.server.Check(), `bvtest: fault "refuse" for files:upload never fired: its call came 1 times`)
	})
}

// What is cut off can be overtaken by what the client does next, and arrives late.
func TestCheckForgivesALateRequestWhoseClientHasHungUp(t *testing.T) {
	for name, late := range map[string]struct {
		call bvtest.Call
		next func(c client, u upload, etag string) // ends the session
	}{
		"a part, then a cancel": {bvtest.CallPut, func(c client, u upload, _ string) {
			require.Equal(c.t, http.StatusOK, c.cancel(u).status)
		}},
		"a completion, then another": {bvtest.CallComplete, func(c client, u upload, etag string) {
			require.Equal(c.t, http.StatusOK, c.complete(u, u.completion(c.t, []string{etag}, []byte("x"))).status)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, bvtest.Options{}, func(c client) {
				ctx, hangUp := context.WithCancel(c.t.Context())
				release := make(chan struct{})
				u := c.open(1)
				url := u.UploadData.Parts[0].URL
				etag := c.put(url, []byte("x")).header.Get("ETag")
				// The first of these calls waits here, as over a slow network.
				// Its client has gone by the time of the answer.
				c.inject(bvtest.Fault{Call: late.call, Kind: bvtest.LoseAnswer, Fired: func() { hangUp(); <-release }})
				if late.call == bvtest.CallPut {
					require.ErrorIs(c.t, c.sendUntil(ctx, http.MethodPut, url, []byte("x"),
						"Content-Type", "application/octet-stream").err, context.Canceled)
				} else {
					request := mustJSON(c.t, u.completion(c.t, []string{etag}, []byte("x")))
					require.ErrorIs(c.t, c.sendUntil(ctx, http.MethodPost, c.server.URL()+"/bv/cms/v1/library/files/"+u.File.ID+
						":complete-upload", request, "Authorization", "Bearer "+c.server.Token(), "X-Bv-Org-Id", c.server.OrgID(),
						"Content-Type", "application/json").err, context.Canceled)
				}
				late.next(c, u, etag)
				close(release)
				time.Sleep(time.Minute)
				require.NoError(c.t, c.server.Check())
			})
		})
	}
}

func TestStartRefusesBadOptions(t *testing.T) {
	for text, opts := range map[string]bvtest.Options{
		"bvtest: PartSize -1 is negative":                                         {PartSize: -1},
		"bvtest: Parts -2 is negative":                                            {Parts: -2},
		"bvtest: MinPart -3 is negative":                                          {MinPart: -3},
		"bvtest: URLLife -1s is negative":                                         {URLLife: -time.Second},
		`bvtest: Ignore names "name", which is none of ["type" "source" "attrs"]`: {Ignore: []string{"name"}},

		"bvtest: cannot listen: no socket": {Listen: func(string, string) (net.Listener, error) { return nil, errors.New("no socket") }},
	} {
		_, err := bvtest.Start(&opts)
		require.EqualError(t, err, text)
	}
}

func TestCloseMayBeRepeated(t *testing.T) {
	c := start(t, nil)
	c.server.Close()
	c.server.Close()
	require.Error(t, c.call(":upload", "{}").err)
}
