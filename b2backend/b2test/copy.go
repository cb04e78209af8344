package b2test

import "maps"

// source finds what a copy reads: a file version, or a range of it. The lock is held.
func (x *exchange) source(id, byteRange string, given encryption) (*file, content, int64, error) {
	if !fileIDPattern.MatchString(id) {
		return nil, nil, 0, errInvalidFileID(id)
	}
	f := x.s.files[id]
	if f == nil || f.action != actionUpload {
		return nil, nil, 0, errNotFound("file")
	}
	if err := x.token.key.mayTouch(f); err != nil {
		return nil, nil, 0, err
	}
	if !f.bucket.Public && !x.token.key.may("readFiles") {
		return nil, nil, 0, errUnauthorized()
	}
	if err := f.sse.opens(given); err != nil {
		return nil, nil, 0, err
	}
	offset, length := int64(0), f.length
	if byteRange != "" {
		var ok bool
		if offset, length, ok = parseRange(byteRange, f.length); !ok {
			return nil, nil, 0, errRange()
		}
	}
	if length > maxPartSize {
		return nil, nil, 0, badCode("source_too_large", "Copy source too big: %d", length)
	}
	if x.s.opts.Discard && length > 0 && (byteRange != "" || f.sha1 == "none") {
		return nil, nil, 0, errDiscarded()
	}
	return f, f.content.slice(offset, length), length, nil
}

// copySums are the digests of copied bytes; a server that discards has those of the whole source.
func (x *exchange) copySums(src *file, bytes content) (sha1Hex, md5Hex string) {
	if x.s.opts.Discard && src.length > 0 {
		return src.sha1, src.md5
	}
	return bytes.sums()
}

// copyEncryption reads the encryption of what a copy reads and of what it
// makes, when all other fields have been read.
func copyEncryption(a *args) (from, to encryption, err error) {
	if from, err = fieldEncryption(a, "sourceServerSideEncryption"); err == nil {
		to, err = fieldEncryption(a, "destinationServerSideEncryption")
	}
	if err == nil {
		err = a.done()
	}
	return from, to, err
}

// copyPart makes a part of a stored file, or of a range of it. Its answer calls
// the large file fileId (recorded).
func (x *exchange) copyPart() (any, error) {
	a := x.args
	sourceID, largeID := a.required("sourceFileId"), a.required("largeFileId")
	number := a.number("partNumber", 0, -1<<62, 1<<62)
	byteRange := a.optional("range")
	from, to, err := copyEncryption(a)
	if err != nil {
		return nil, err
	}
	if err := checkPartNumber(number); err != nil {
		return nil, err
	}
	large, err := x.activeFile(largeID)
	if err != nil {
		return nil, err
	}
	src, bytes, length, err := x.source(sourceID, byteRange, from)
	if err != nil {
		return nil, err
	}
	if err := large.sse.opens(to); err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, badRequest("a part must have at least 1 byte") // uncertain text
	}
	p := &part{number: int(number), stored: stored{length: length, content: bytes}, began: x.s.Now()}
	p.sha1, p.md5 = x.copySums(src, bytes)
	return x.storePart(large, p)
}

// copyFile makes a version of a stored file, or of a range of it. The answer
// says copy; later the same version is an upload (recorded).
func (x *exchange) copyFile() (any, error) {
	a := x.args
	sourceID, name := a.required("sourceFileId"), a.required("fileName")
	bucketID, byteRange := a.optional("destinationBucketId"), a.optional("range")
	directive, contentType := a.optional("metadataDirective"), a.optional("contentType")
	info := a.stringMap("fileInfo")
	mode, until, hold := retentionFields(a)
	from, to, err := copyEncryption(a)
	if err != nil {
		return nil, err
	}
	replace := directive == "REPLACE"
	switch {
	case directive != "" && directive != "COPY" && !replace:
		return nil, badRequest("Invalid metadataDirective: %s", directive)
	case !replace && (contentType != "" || info != nil):
		return nil, badRequest("contentType and fileInfo go with metadataDirective REPLACE only")
	case replace && contentType == "":
		return nil, badRequest("metadataDirective REPLACE needs a contentType")
	}

	src, bytes, length, err := x.source(sourceID, byteRange, from)
	if err != nil {
		return nil, err
	}
	b := src.bucket
	if bucketID != "" {
		if b, err = x.bucketFor(bucketID); err != nil {
			return nil, err
		}
	}
	if err := x.s.checkName(name); err != nil {
		return nil, err
	}
	f := x.s.newFile(b, name, actionUpload)
	if err := x.token.key.mayTouch(f); err != nil {
		return nil, err
	}
	f.encrypt(to)
	f.length, f.content = length, bytes
	f.contentType, f.info = src.contentType, maps.Clone(src.info)
	if replace {
		if contentType, err = checkContentType(contentType); err != nil {
			return nil, err
		}
		f.contentType = resolveType(contentType, name)
		if f.info, err = x.s.checkInfo(name, info, f.tight()); err != nil {
			return nil, err
		}
	}
	if err := f.protect(x.token.key, mode, until, hold); err != nil {
		return nil, err
	}
	f.sha1, f.md5 = x.copySums(src, bytes)
	x.s.forget(f)
	x.s.files[f.id] = f
	answer := x.fileObject(f)
	answer["action"] = actionCopy
	return answer, nil
}
