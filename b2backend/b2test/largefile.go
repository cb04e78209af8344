package b2test

import (
	"fmt"
	"net/http"
	"strconv"
)

// startLargeFile makes a large file that has no parts yet. Nothing is asked of
// its length (documented).
func (x *exchange) startLargeFile() (any, error) {
	a := x.args
	bucketID, name, contentType := a.required("bucketId"), a.required("fileName"), a.required("contentType")
	info := a.stringMap("fileInfo")
	custom, customized := a.moment("customUploadTimestamp")
	mode, until, hold := retentionFields(a)
	sse, err := fieldEncryption(a, "serverSideEncryption")
	if err != nil {
		return nil, err
	}
	if err := a.done(); err != nil {
		return nil, err
	}
	b, err := x.bucketFor(bucketID)
	if err != nil {
		return nil, err
	}
	if err := x.s.checkName(name); err != nil {
		return nil, err
	}
	f := x.s.newFile(b, name, actionStart)
	if err := x.token.key.mayTouch(f); err != nil {
		return nil, err
	}
	if contentType, err = checkContentType(contentType); err != nil {
		return nil, err
	}
	f.contentType = resolveType(contentType, name)
	f.encrypt(sse)
	if f.info, err = x.s.checkInfo(name, info, f.tight()); err != nil {
		return nil, err
	}
	if err := f.protect(x.token.key, mode, until, hold); err != nil {
		return nil, err
	}
	if customized {
		if f.timestamp, err = x.s.customTimestamp(custom); err != nil {
			return nil, err
		}
	}
	x.s.forget(f)
	x.s.files[f.id] = f
	x.log.FileID = f.id
	return x.fileObject(f), nil
}

// retentionFields reads fileRetention and legalHold of a JSON call.
func retentionFields(a *args) (mode string, until int64, hold string) {
	mode, until = retentionField(a)
	return mode, until, a.optional("legalHold")
}

// retentionField reads fileRetention.
func retentionField(a *args) (mode string, until int64) {
	o := a.object("fileRetention")
	if o == nil {
		return "", 0
	}
	return o.optional("mode"), o.millis("retainUntilTimestamp")
}

// largeFile finds the unfinished large file that fileId names, when all other
// fields of the call have been read.
func (x *exchange) largeFile() (*file, error) {
	id := x.args.required("fileId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	return x.activeFile(id)
}

// activeFile finds an unfinished large file and checks that the key may touch it. The lock is held.
func (x *exchange) activeFile(id string) (*file, error) {
	if !fileIDPattern.MatchString(id) {
		return nil, errInvalidFileID(id)
	}
	f := x.s.files[id]
	if f == nil || f.action != actionStart {
		return nil, errNoActiveUpload(id)
	}
	return f, x.token.key.mayTouch(f)
}

// getUploadPartURL gives out a URL and a token for parts of one large file.
func (x *exchange) getUploadPartURL() (any, error) {
	id := x.args.required("fileId")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	if !fileIDPattern.MatchString(id) {
		return nil, badRequest("Not a valid file id: %s", id)
	}
	f, err := x.activeFile(id)
	if err != nil {
		return nil, err
	}
	f.vaultFull = f.vaultFull || x.fault.Kind == VaultFull
	if f.vaultFull {
		return nil, &apiError{
			status: http.StatusServiceUnavailable, code: "service_unavailable",
			message: fmt.Sprintf("No uploads available in vault %07d", f.vault),
		}
	}
	t := x.s.issue(partURLToken, x.token.key)
	t.file = f
	t.path = fmt.Sprintf("/b2api/v%d/b2_upload_part/%s/%04d", x.version, id, randomBelow(60))
	x.s.ledger.urls++
	return object{"authorizationToken": t.text, "fileId": id, "uploadUrl": x.s.urls[uploadHost] + t.path}, nil
}

// checkPartNumber refuses numbers outside 1 to 10,000; the text is uncertain.
func checkPartNumber(n int64) error {
	if n < 1 || n > maxParts {
		return badRequest("Part number must be in range 1 - %d", maxParts)
	}
	return nil
}

// headerNumber reads a header that holds a whole number, 0 when it is absent.
func headerNumber(h http.Header, name string) (int64, error) {
	text := h.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, badRequest("Bad header %s: %s", name, text)
	}
	return n, nil
}

// uploadPart stores a part. A number that is taken is stored over (documented);
// sizes are not looked at before finish (reported).
func (x *exchange) uploadPart() (any, error) {
	f := x.token.file
	if x.r.Header.Get("X-Bz-Part-Number") == "" {
		return nil, badRequest("Missing header: X-Bz-Part-Number")
	}
	number, err := headerNumber(x.r.Header, "X-Bz-Part-Number")
	if err != nil {
		return nil, err
	}
	if err := checkPartNumber(number); err != nil {
		return nil, err
	}
	sse, err := headerEncryption(x.r.Header)
	if err != nil {
		return nil, err
	}
	if sse.mode == "SSE-B2" {
		return nil, badRequest("SSE-B2 is given at start only")
	}
	if err := f.sse.opens(sse); err != nil {
		return nil, err
	}
	in, err := x.readBody()
	if err != nil {
		return nil, err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.storePart(f, &part{number: int(number), stored: in.stored, began: in.began})
}

// storePart files p under its number, unless f has ended meanwhile. The lock is held.
func (x *exchange) storePart(f *file, p *part) (any, error) {
	if !x.s.active(f) {
		return nil, errNoActiveUpload(f.id)
	}
	p.sse, p.answered = f.sse, x.s.Now()
	f.parts[p.number] = p
	return p.object(f.id, p.answered.UnixMilli()), nil
}

// listParts answers the stored parts of an unfinished large file. Its
// timestamps are whole seconds of when the upload of the part began, unlike
// those of the upload's answer (recorded).
func (x *exchange) listParts() (any, error) {
	from := x.args.number("startPartNumber", 1, 0, maxParts+1)
	most := x.args.number("maxPartCount", 100, 1, 1000)
	f, err := x.largeFile()
	if err != nil {
		return nil, err
	}
	parts := list{}
	var next any
	for number := int(from); number <= maxParts; number++ {
		p := f.parts[number]
		if p == nil {
			continue
		}
		if int64(len(parts)) == most {
			next = number
			break
		}
		parts = append(parts, p.object(f.id, seconds(p.began)))
	}
	return object{"nextPartNumber": next, "parts": parts}, nil
}

// cancelLargeFile deletes an unfinished large file with its parts. It works once (documented).
func (x *exchange) cancelLargeFile() (any, error) {
	f, err := x.largeFile()
	if err != nil {
		return nil, err
	}
	x.s.remove(f)
	return object{"accountId": x.s.account, "bucketId": f.bucket.ID, "fileId": f.id, "fileName": f.name}, nil
}
