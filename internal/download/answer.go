package download

import (
	"errors"
	"fmt"
	"net/http"
)

// Unknown is the size of a file before the first answer.
const Unknown = -1

// SetRange asks for the bytes from offset on, as they are stored: no transport is to ask for gzip by itself and unpack
// what was stored so. With a tag it asks for the file of that ETag or none (RFC 9110, 13.1.1).
func SetRange(h http.Header, offset int64, tag string) {
	h.Set("Accept-Encoding", "identity")
	if offset > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	if tag != "" {
		h.Set("If-Match", tag)
	}
}

// Check says how a successful answer is not about the bytes from offset on of a file of size bytes, which may be Unknown.
func Check(resp *http.Response, offset, size int64) error {
	status, wanted := http.StatusOK, ""
	if offset > 0 {
		status, wanted = http.StatusPartialContent, fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size)
	}
	length, part := resp.ContentLength, resp.Header.Get("Content-Range")
	switch {
	case resp.StatusCode != status:
		return fmt.Errorf("status %d, not %d", resp.StatusCode, status)
	case length < 0:
		return errors.New("no length")
	case size != Unknown && length != size-offset, part != wanted:
		return fmt.Errorf("%d bytes (%.60q), not %d (%q)", length, part, size-offset, wanted)
	}
	return nil
}
