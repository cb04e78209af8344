package b2test

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// bodySlice is how much of a body is read at a time, and the size of the pieces that are kept.
const bodySlice = 256 << 10

// whether upper case is accepted is uncertain
var sha1Pattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

// received is an upload's body.
type received struct {
	stored
	began time.Time
}

// readBody reads and verifies the body of an upload. Nothing of it is kept after an error.
func (x *exchange) readBody() (received, error) {
	in := received{began: x.s.Now()}
	r := x.r
	if r.ContentLength < 0 || r.Header.Get("Content-Length") == "" {
		return in, badRequest("Missing header: Content-Length") // reported
	}
	in.length = r.ContentLength
	claim := r.Header.Get("X-Bz-Content-Sha1")
	atEnd := claim == "hex_digits_at_end"
	unverified := claim == "do_not_verify" // of parts too, where it is uncertain
	switch {
	case claim == "":
		return in, badRequest("Missing header: X-Bz-Content-Sha1")
	case atEnd:
		in.length -= 2 * sha1.Size
		if in.length < 0 {
			return in, badRequest("Not a valid hex SHA1: the body has only %d bytes", r.ContentLength)
		}
	case !unverified && !sha1Pattern.MatchString(claim):
		return in, badRequest("Not a valid hex SHA1: %s", claim)
	}
	if in.length > maxPartSize {
		return in, badRequest("body of %d bytes is longer than %d", in.length, int64(maxPartSize))
	}
	if x.log.Call == "b2_upload_part" && in.length == 0 {
		return in, badRequest("a part must have at least 1 byte") // uncertain text
	}

	var digests []hash.Hash // SHA-1, then MD5 where it is answered
	trust := x.s.opts.TrustSHA1 && !unverified
	if !trust {
		digests = append(digests, sha1.New())
		if !x.s.opts.TrustSHA1 {
			digests = append(digests, md5.New())
		}
	}
	if err := x.readContent(&in, digests); err != nil {
		return received{}, err
	}
	if atEnd {
		tail := make([]byte, 2*sha1.Size)
		if _, err := io.ReadFull(r.Body, tail); err != nil {
			return received{}, localserver.ErrGone
		}
		claim = string(tail)
		if !sha1Pattern.MatchString(claim) {
			return received{}, badRequest("Not a valid hex SHA1: %s", claim)
		}
	}
	in.sha1 = strings.ToLower(claim)
	if !trust {
		in.sha1 = hex.EncodeToString(digests[0].Sum(nil))
		if !unverified && in.sha1 != strings.ToLower(claim) {
			return received{}, badRequest("Checksum did not match data received")
		}
	}
	if len(digests) > 1 {
		in.md5 = hex.EncodeToString(digests[1].Sum(nil))
	}
	if unverified {
		in.sha1 = "unverified:" + in.sha1 // reported
	}
	return in, x.hold()
}

// readContent reads in.length bytes through the digests, and keeps them unless the server discards.
func (x *exchange) readContent(in *received, digests []hash.Hash) error {
	slice := int64(bodySlice)
	if rate := x.rate(); rate > 0 {
		slice = max(1, min(slice, rate/20)) // a slow link moves steadily, not in bursts
	}
	var shared []byte
	if x.s.opts.Discard {
		pooled := x.s.buffers.Get().(*[]byte)
		defer x.s.buffers.Put(pooled)
		shared = *pooled
	}
	for left := in.length; left > 0; {
		n := min(left, bodySlice)
		piece := shared
		if piece == nil {
			piece = make([]byte, n)
			in.content = append(in.content, piece)
		}
		piece = piece[:n]
		for at := int64(0); at < n; {
			stop := min(n, at+slice)
			if _, err := io.ReadFull(x.r.Body, piece[at:stop]); err != nil {
				return localserver.ErrGone
			}
			if err := x.pace(x.r.Context(), int(stop-at)); err != nil {
				return err
			}
			at = stop
		}
		for _, d := range digests {
			_, _ = d.Write(piece) // a hash never fails
		}
		left -= n
	}
	return nil
}

// drain reads n bytes of the request's body, all of it for a negative n, and forgets them.
func (x *exchange) drain(n int64) error {
	if n < 0 {
		n = 1 << 62
	}
	pooled := x.s.buffers.Get().(*[]byte)
	defer x.s.buffers.Put(pooled)
	for n > 0 {
		read, err := x.r.Body.Read((*pooled)[:min(n, int64(len(*pooled)))])
		n -= int64(read)
		if err := x.pace(x.r.Context(), read); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return localserver.ErrGone
		}
	}
	return nil
}

// sums digests stored content, for copies.
func (c content) sums() (sha1Hex, md5Hex string) {
	s, m := sha1.New(), md5.New()
	for _, piece := range c {
		_, _ = s.Write(piece)
		_, _ = m.Write(piece)
	}
	return fmt.Sprintf("%x", s.Sum(nil)), fmt.Sprintf("%x", m.Sum(nil))
}
