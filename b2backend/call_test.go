package b2backend_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// A success that is about something else than what was asked is a failed attempt of every call that may be made again.
func TestAWrongAnswerIsAskedForAgain(t *testing.T) {
	for call, wrong := range map[string]string{
		"b2_get_upload_url":      `{}`,
		"b2_get_upload_part_url": `{"authorizationToken":"token","uploadUrl":"ftp://elsewhere.test"}`,
		"b2_upload_part":         `{"fileId":"other","partNumber":1}`,
		"b2_copy_part":           `{"fileId":"other","partNumber":2}`,
		"b2_cancel_large_file":   `{"fileId":"other"}`,
	} {
		t.Run(call, func(t *testing.T) {
			s := newServer(t, nil)
			rt := exchange.NewTransport()
			t.Cleanup(rt.CloseIdleConnections)
			var answers atomic.Int64
			b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
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
