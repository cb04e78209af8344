package b2test

import (
	"fmt"
	"net/http"
	"strings"
)

// getUploadURL gives out a URL and a token for uploads of whole files into a bucket.
func (x *exchange) getUploadURL() (any, error) {
	id := x.args.required("bucketId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	b, err := x.bucketFor(id)
	if err != nil {
		return nil, err
	}
	t := x.s.issue(fileURLToken, x.token.key)
	t.bucket = b
	t.path = fmt.Sprintf("/b2api/v%d/b2_upload_file/%s/c002_v%07d_t%04d", x.version, id, newVault(), randomBelow(60))
	x.s.ledger.urls++
	return object{"authorizationToken": t.text, "bucketId": id, "uploadUrl": x.s.urls[uploadHost] + t.path}, nil
}

// claim finds the upload token of an upload and takes it: one upload at a time
// (documented). A client that gave up still holds it while the server reads
// from its connection.
func (x *exchange) claim() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	text := x.r.Header.Get("Authorization")
	t := x.s.tokens[text]
	switch {
	case text == "":
		return errMissingToken()
	case t == nil:
		return errBadToken()
	case t.kind == accountToken:
		x.s.ledger.violation("%s: account token sent to an upload host", x.log.Call)
		return errBadToken()
	case t.path != x.r.URL.Path:
		return errBadToken()
	}
	if t.file != nil {
		x.log.FileID, x.log.Name = t.file.id, t.file.name
	}
	if t.busy {
		x.s.ledger.violation("%s: more than one upload at a time through one upload URL", x.log.Call)
		return badCode("auth_token_limit", "more than one upload using auth token %s", text)
	}
	t.busy = true
	x.token, x.claimed = t, true
	x.observe()
	return nil
}

// checkUploadToken checks that the claimed URL is still good. What an upload is
// answered whose bucket was deleted is uncertain: here it is what
// b2_get_upload_url is answered then.
func (x *exchange) checkUploadToken() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	t := x.token
	if x.fault.Kind == ExpireToken {
		t.expired = true
	}
	switch {
	case t.file != nil && !x.s.active(t.file):
		return errNoActiveUpload(t.file.id)
	case t.bucket != nil && !x.s.stands(t.bucket):
		return errNoBucket(t.bucket.ID)
	case t.over(x.s.Now()):
		return errExpiredToken()
	case t.dead && x.s.opts.Uncertain.DeadURL503:
		return &apiError{status: http.StatusServiceUnavailable, code: "service_unavailable", message: "upload URL is no longer valid"}
	case t.dead:
		return errBadToken()
	}
	return nil
}

// wrongHost notes a request on the wrong listener that carries a token no other host should see.
func (x *exchange) wrongHost() {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	t := x.s.tokens[x.r.Header.Get("Authorization")]
	if t != nil && t.kind == accountToken && x.host == uploadHost {
		x.s.ledger.violation("%s: account token sent to an upload host", x.log.Call)
	}
}

// uploadFile stores a whole file.
func (x *exchange) uploadFile() (any, error) {
	f, err := x.uploadHeaders()
	if err != nil {
		return nil, err
	}
	in, err := x.readBody()
	if err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if !x.s.stands(f.bucket) { // deleted while the body came
		return nil, errNoBucket(f.bucket.ID)
	}
	f.stored = in.stored
	x.s.forget(f)
	x.s.files[f.id] = f
	return x.fileObject(f), nil
}

// uploadHeaders makes a file of what the headers of an upload say, without content.
func (x *exchange) uploadHeaders() (*file, error) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	h := x.r.Header
	for _, name := range []string{
		"Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location", "Content-Range", "Expires",
	} {
		if h.Get(name) != "" {
			// documented, the text is uncertain
			return nil, badRequest("Header %s is not allowed", name)
		}
	}
	if h.Get("X-Bz-File-Name") == "" {
		return nil, badRequest("Missing header: X-Bz-File-Name")
	}
	name, err := decodeName(h.Get("X-Bz-File-Name"))
	if err != nil {
		return nil, err
	}
	x.log.Name = name
	if err := x.s.checkName(name); err != nil {
		return nil, err
	}
	b, k := x.token.bucket, x.token.key
	f := x.s.newFile(b, name, actionUpload)
	if err := k.mayTouch(f); err != nil {
		return nil, err
	}
	f.contentType = h.Get("Content-Type")
	if f.contentType == "" {
		return nil, badRequest("Missing header: Content-Type")
	}
	if f.contentType, err = checkContentType(f.contentType); err != nil {
		return nil, err
	}
	f.contentType = resolveType(f.contentType, name)
	sse, err := headerEncryption(h)
	if err != nil {
		return nil, err
	}
	f.encrypt(sse)
	info := map[string]string{}
	for header, values := range h {
		if key, ok := strings.CutPrefix(header, "X-Bz-Info-"); ok {
			if info[strings.ToLower(key)], err = decodeName(values[0]); err != nil {
				return nil, err
			}
		}
	}
	if f.info, err = x.s.checkInfo(name, info, f.tight()); err != nil {
		return nil, err
	}
	until, err := headerNumber(h, "X-Bz-File-Retention-Retain-Until-Timestamp")
	if err != nil {
		return nil, err
	}
	if err := f.protect(k, h.Get("X-Bz-File-Retention-Mode"), until, h.Get("X-Bz-File-Legal-Hold")); err != nil {
		return nil, err
	}
	if custom, ok := h["X-Bz-Custom-Upload-Timestamp"]; ok {
		f.timestamp, err = x.s.customTimestamp(custom[0])
	}
	return f, err
}
