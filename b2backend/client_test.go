package b2backend_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// A success that is about something else than what was asked is a failed
// attempt of every call that may be made again.
func TestAWrongAnswerIsAskedForAgain(t *testing.T) {
	for call, wrong := range map[string]string{
		"b2_get_upload_url":      `{}`,
		"b2_get_upload_part_url": `{"authorizationToken":"token","uploadUrl":"ftp://elsewhere.test"}`,
		"b2_upload_part":         `{"fileId":"other","partNumber":1}`,
		"b2_copy_part":           `{"fileId":"other","partNumber":2}`,
		"b2_cancel_large_file":   `{"fileId":"other"}`,
		"b2_list_parts":          `{"parts":[{"partNumber":1}]}`,
	} {
		t.Run(call, func(t *testing.T) {
			s := newServer(t, nil)
			rt := httpx.NewTransport()
			t.Cleanup(rt.CloseIdleConnections)
			var answers atomic.Int64
			b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := rt.RoundTrip(req)
				if err == nil && strings.Contains(req.URL.Path, call) && answers.Add(1) == 1 {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(wrong)), int64(len(wrong))
				}
				return resp, err
			})})
			requireEveryCall(t, b)
			require.Greater(t, answers.Load(), int64(1))
		})
	}
}

// A service whose lists go round in circles is asked again, as after any wrong
// answer, and not followed for ever.
func TestAListThatDoesNotGoOnIsAnError(t *testing.T) {
	unfinished := func(ctx context.Context, b *b2backend.Backend) error {
		_, err := b.CancelStale(ctx, b2backend.StaleFilter{})
		return err
	}
	parts := func(ctx context.Context, b *b2backend.Backend) error {
		_, err := b.Parts(ctx, sluice.UnfinishedFile{ID: "large"})
		return err
	}
	// looks for the file before two further attempts, and five times in the end
	versions := func(ctx context.Context, b *b2backend.Backend) error {
		_, err := b.UploadFile(ctx, sized("file", 50), part(0, testutil.Content(50)))
		return err
	}
	for _, c := range []struct {
		call, page, want string
		list             func(context.Context, *b2backend.Backend) error
		asked            int
	}{
		{"b2_list_unfinished_large_files", `{"nextFileId":"x"}`, "the list goes in circles: the next page is one that came before", unfinished, 1 + 3},
		{"b2_list_file_versions", `{"nextFileName":"file","nextFileId":"x"}`, "the list goes in circles: the next page is one that came before", versions, (2 + 5) * (1 + 2)},
		{"b2_list_parts", `{"nextPartNumber":2}`, "the list goes in circles: the next page is one that came before", parts, 1 + 3},
		{"b2_list_parts", `{"nextPartNumber":0}`, "the list goes in circles: the next page is one that came before", parts, 3},
		{"b2_list_parts", `{"parts":[{"partNumber":5,"contentLength":1}],"nextPartNumber":5}`, "the list goes in circles: the next page is one that came before", parts, 3},
		{"b2_list_parts", `{"parts":[{"partNumber":2,"contentLength":1}],"nextPartNumber":3}`, "part 2 where part 3 or a later one is due", parts, 1 + 3},
		{"b2_list_parts", `{"parts":[{"partNumber":2,"contentLength":1},{"partNumber":2,"contentLength":1}]}`, "part 2 where part 3 or a later one is due", parts, 3},
		{"b2_list_parts", `{"parts":[{"partNumber":10001,"contentLength":1}]}`, "part 10001 of 1 bytes", parts, 3},
		{"b2_list_parts", `{"parts":[{"partNumber":1,"contentLength":0}]}`, "part 1 of 0 bytes", parts, 3},
	} {
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			c.call:           func(*http.Request) (int, string) { return http.StatusOK, c.page },
			"b2_upload_file": func(*http.Request) (int, string) { return 0, "the answer is lost" },
		}}
		b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond}})
		require.NoError(t, err)
		require.ErrorContains(t, c.list(t.Context(), b), c.call+": unusable answer: "+c.want, c.page)
		require.Equal(t, c.asked, f.count(c.call), c.page)
	}
}
