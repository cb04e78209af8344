package b2test

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// download is the answer to a download.
type download struct {
	file    *file
	content content
	offset  int64
	length  int64
	status  int // 200, or 206 for a range
	header  http.Header
}

// downloadByName serves /file/<bucket>/<name>, the newest version of the name.
func (x *exchange) downloadByName() (any, error) {
	bucketName, encoded, _ := strings.Cut(x.path, "/")
	name, err := decodeName(encoded)
	if err != nil {
		return nil, err
	}
	x.log.Name = name
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	b := x.s.bucketByName(bucketName)
	if b == nil {
		return nil, errNotFound("bucket " + bucketName)
	}
	if err := x.mayRead(b, name); err != nil {
		return nil, err
	}
	f := x.s.newest(b, name)
	if f == nil || f.action == actionHide {
		return nil, errNotFound("file " + name)
	}
	x.log.FileID = f.id
	return x.serveFile(f)
}

// downloadByID serves a version by its id.
func (x *exchange) downloadByID() (any, error) {
	id := x.args.required("fileId")
	if !x.args.query {
		if err := x.args.done(); err != nil {
			return nil, err
		}
	}
	if x.args.err != nil {
		return nil, x.args.err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	f, err := x.s.version(id)
	if err != nil {
		return nil, err
	}
	if err := x.mayRead(f.bucket, f.name); err != nil {
		return nil, err
	}
	if f.action == actionHide {
		return nil, errNotFound("file " + id)
	}
	return x.serveFile(f)
}

// mayRead checks that the request may download name from b: the bucket is
// public, or it carries an account token or a download authorization, in the
// header or in the query. The lock is held.
func (x *exchange) mayRead(b *bucket, name string) error {
	text := x.r.Header.Get("Authorization")
	if text == "" {
		text = x.r.URL.Query().Get("Authorization")
	}
	if b.Public && text == "" {
		return nil
	}
	if t := x.s.tokens[text]; t != nil && t.kind == downloadToken {
		switch {
		case t.over(x.s.Now()):
			return errExpiredToken()
		case t.bucket != b || !strings.HasPrefix(name, t.prefix):
			return errUnauthorized()
		}
		return nil
	}
	if err := x.account(text); err != nil {
		return err
	}
	k := x.token.key
	if !b.Public && !k.may("readFiles") || !k.mayBucket(b.ID) || !k.mayName(name) {
		return errUnauthorized()
	}
	return nil
}

// serveFile answers a version, or the range of it that the request asks for. The lock is held.
func (x *exchange) serveFile(f *file) (any, error) {
	given, err := headerEncryption(x.r.Header)
	if err != nil {
		return nil, err
	}
	if err := f.sse.opens(given); err != nil {
		return nil, err
	}
	d := &download{file: f, length: f.length, status: http.StatusOK, header: f.header()}
	if wanted := x.r.Header.Get("Range"); wanted != "" {
		var ok bool
		if d.offset, d.length, ok = parseRange(wanted, f.length); !ok {
			return nil, errRange()
		}
		d.status = http.StatusPartialContent
		d.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", d.offset, d.offset+d.length-1, f.length))
	}
	d.header.Set("Content-Length", strconv.FormatInt(d.length, 10))
	d.header.Set("Date", x.s.Now().UTC().Format(http.TimeFormat))
	query := x.r.URL.Query()
	for parameter, name := range map[string]string{
		"b2ContentDisposition": "Content-Disposition", "b2ContentLanguage": "Content-Language", "b2Expires": "Expires",
		"b2CacheControl": "Cache-Control", "b2ContentEncoding": "Content-Encoding", "b2ContentType": "Content-Type",
	} {
		if value := query.Get(parameter); value != "" {
			d.header.Set(name, value)
		}
	}
	d.content = f.content.slice(d.offset, d.length)
	if x.s.opts.Discard && d.length > 0 && x.r.Method != http.MethodHead {
		return nil, errDiscarded()
	}
	return d, nil
}

// header is what a download says of f (recorded). Info keys keep their lower
// case, which http.Header.Set would not.
func (f *file) header() http.Header {
	h := http.Header{
		"Accept-Ranges":         {"bytes"},
		"Content-Type":          {f.contentType},
		"X-Bz-Content-Sha1":     {f.sha1},
		"X-Bz-File-Id":          {f.id},
		"X-Bz-File-Name":        {encodeName(f.name)},
		"X-Bz-Upload-Timestamp": {strconv.FormatInt(f.timestamp, 10)},
	}
	for key, value := range f.info {
		if plain := plainHeader(key); plain != "" {
			h[plain] = []string{value}
		} else {
			h["X-Bz-Info-"+key] = []string{encodeName(value)}
		}
	}
	f.sse.setHeaders(h)
	return h
}

// parseRange reads bytes=a-b, bytes=a- or bytes=-n against a size. A range of
// an empty file never fits (reported).
func parseRange(text string, size int64) (offset, length int64, ok bool) {
	spec, found := strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !found || !dash {
		return 0, 0, false
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n <= 0 || size == 0 {
			return 0, 0, false
		}
		n = min(n, size)
		return size - n, n, true
	}
	a, err := strconv.ParseInt(first, 10, 64)
	if err != nil || a < 0 || a >= size {
		return 0, 0, false
	}
	b := size - 1
	if last != "" {
		if b, err = strconv.ParseInt(last, 10, 64); err != nil || b < a {
			return 0, 0, false
		}
		b = min(b, size-1)
	}
	return a, b - a + 1, true
}

// sendDownload writes the headers and the content, at the pace of the link.
func (x *exchange) sendDownload(d *download) {
	h := x.w.Header()
	maps.Copy(h, d.header)
	x.w.WriteHeader(d.status)
	if x.r.Method == http.MethodHead {
		return
	}
	left := d.length
	if x.fault.Kind == Truncate {
		left /= 2
	}
	for _, piece := range d.content {
		for len(piece) > 0 && left > 0 {
			n := min(int64(len(piece)), left, bodySlice)
			if rate := x.rate(); rate > 0 {
				n = max(1, min(n, rate/20))
			}
			if x.pace(x.r.Context(), int(n)) != nil {
				panic(http.ErrAbortHandler)
			}
			if _, err := x.w.Write(piece[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			piece = piece[n:]
			left -= n
		}
	}
	if x.fault.Kind == Truncate {
		_ = http.NewResponseController(x.w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// getDownloadAuthorization gives out a token for downloads under a prefix.
func (x *exchange) getDownloadAuthorization() (any, error) {
	a := x.args
	bucketID, prefix := a.required("bucketId"), a.required("fileNamePrefix")
	life := a.number("validDurationInSeconds", 0, 1, 604_800)
	if a.get("validDurationInSeconds") == nil {
		a.fail(badRequest("required field validDurationInSeconds is missing"))
	}
	for _, override := range []string{
		"b2ContentDisposition", "b2ContentLanguage", "b2Expires", "b2CacheControl", "b2ContentEncoding", "b2ContentType",
	} {
		a.optional(override)
	}
	if err := a.done(); err != nil {
		return nil, err
	}
	b, err := x.bucketUnder(bucketID, prefix)
	if err != nil {
		return nil, err
	}
	t := x.s.issue(downloadToken, x.token.key)
	t.bucket, t.prefix, t.life = b, prefix, time.Duration(life)*time.Second
	return object{"authorizationToken": t.text, "bucketId": bucketID, "fileNamePrefix": prefix}, nil
}
