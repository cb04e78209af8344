package download

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnAnswerIsAboutTheBytesAskedFor(t *testing.T) {
	for _, c := range []struct {
		status       int
		length       int64
		part         string
		offset, size int64
		want         string // "" is taken
	}{
		{200, 10, "", 0, Unknown, ""},
		{200, 0, "", 0, Unknown, ""},
		{200, 10, "", 0, 10, ""},
		{206, 4, "bytes 6-9/10", 6, 10, ""},
		{200, -1, "", 0, Unknown, "no length"},
		{206, 10, "", 0, Unknown, "status 206, not 200"},
		{200, 10, "", 6, 10, "status 200, not 206"},
		{200, 9, "", 0, 10, "9 bytes"},
		{206, 3, "bytes 6-9/10", 6, 10, "3 bytes"},
		{206, 4, "bytes 5-8/10", 6, 10, `"bytes 5-8/10"`},
		{206, 4, "bytes 6-9/11", 6, 10, `"bytes 6-9/11"`},
		{206, 4, "", 6, 10, `not 4 ("bytes 6-9/10")`},
		{200, 10, "bytes 0-9/20", 0, Unknown, `"bytes 0-9/20"`},
	} {
		resp := &http.Response{StatusCode: c.status, ContentLength: c.length, Header: http.Header{"Content-Range": {c.part}}}
		err := Check(resp, c.offset, c.size)
		if c.want == "" {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorContains(t, err, c.want, "%+v", c)
	}
}

func TestARequestSaysWhatItGoesOnWith(t *testing.T) {
	for _, c := range []struct {
		offset int64
		tag    string
		want   http.Header
	}{
		{0, "", http.Header{"Accept-Encoding": {"identity"}}},
		{0, `"t"`, http.Header{"Accept-Encoding": {"identity"}, "If-Match": {`"t"`}}},
		{7, `"t"`, http.Header{"Accept-Encoding": {"identity"}, "If-Match": {`"t"`}, "Range": {"bytes=7-"}}},
	} {
		h := make(http.Header)
		SetRange(h, c.offset, c.tag)
		require.Equal(t, c.want, h)
	}
}
