package b2test

import (
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// protection is Object Lock on a version: retention and a legal hold. Never
// set, both are null (recorded).
type protection struct {
	mode        string // governance, compliance, or "" for none
	retainUntil int64  // milliseconds since 1970
	legalHold   string // on, off, or "" for never set
}

// check refuses what cannot be set on a version in b with k.
func (p protection) check(k *Key, b *bucket) error {
	switch {
	case (p.mode == "") != (p.retainUntil == 0):
		return badRequest("retention mode and retainUntilTimestamp must be given both or not at all")
	case p.mode != "" && p.mode != "governance" && p.mode != "compliance":
		return badRequest("Invalid retention mode: %s", p.mode)
	case p.legalHold != "" && p.legalHold != "on" && p.legalHold != "off":
		return badRequest("Invalid legal hold: %s", p.legalHold)
	case p.mode == "" && p.legalHold == "":
		return nil
	case !b.FileLock:
		return badCode("bucket_missing_file_lock", "Bucket %s has no Object Lock", b.ID)
	case p.mode != "" && !k.may("writeFileRetentions"), p.legalHold != "" && !k.may("writeFileLegalHolds"):
		return errUnauthorized()
	}
	return nil
}

// protect sets the protection of a new version, none of which needs to be there:
// the bucket's default retention stands in (documented).
func (f *file) protect(k *Key, mode string, until int64, hold string) error {
	f.protection = protection{mode: mode, retainUntil: until, legalHold: hold}
	if err := f.check(k, f.bucket); err != nil {
		return err
	}
	if d := f.bucket.retention; mode == "" && d.mode != "" {
		f.mode, f.retainUntil = d.mode, d.until(time.UnixMilli(f.timestamp)).UnixMilli()
	}
	return nil
}

// encrypt sets the encryption of a new version: that of the request, or the
// bucket's (documented).
func (f *file) encrypt(e encryption) {
	if e.mode == "" {
		e = f.bucket.sse
	}
	f.sse = e
}

// forget undoes the options of a new version that the server ignores.
func (s *Server) forget(f *file) {
	for _, name := range s.opts.Ignore {
		switch name {
		case "contentType":
			f.contentType = "application/octet-stream"
		case "fileInfo":
			f.info = nil
		case "fileRetention":
			f.mode, f.retainUntil = "", 0
		case "legalHold":
			f.legalHold = ""
		case "serverSideEncryption":
			f.sse = encryption{}
		case "customUploadTimestamp":
			f.timestamp = seconds(s.Now())
		}
	}
}

// tight reports whether the smaller limit on names and info holds for f.
func (f *file) tight() bool { return f.sse.mode != "" || f.bucket.FileLock }

// describe adds the fields of p to an answer; what the key may not read is null.
func (p protection) describe(k *Key, o object) {
	retention := object{"isClientAuthorizedToRead": false, "value": nil}
	if k.may("readFileRetentions") {
		retention = object{"isClientAuthorizedToRead": true, "value": p.retention()}
	}
	hold := object{"isClientAuthorizedToRead": false, "value": nil}
	if k.may("readFileLegalHolds") {
		hold = object{"isClientAuthorizedToRead": true, "value": textOrNull(p.legalHold)}
	}
	o["fileRetention"], o["legalHold"] = retention, hold
}

// retention is the retention as answers show it.
func (p protection) retention() object {
	o := object{"mode": textOrNull(p.mode), "retainUntilTimestamp": nil}
	if p.mode != "" {
		o["retainUntilTimestamp"] = p.retainUntil
	}
	return o
}

// encryption is server-side encryption; the zero value is none. The content
// itself is stored as it came.
type encryption struct {
	mode   string // SSE-B2, SSE-C or ""
	keyMD5 string // of SSE-C
}

func (e encryption) object() object {
	if e.mode == "" {
		return object{"algorithm": nil, "mode": nil}
	}
	o := object{"algorithm": "AES256", "mode": e.mode}
	if e.mode == "SSE-C" {
		o["customerKeyMd5"] = e.keyMD5
	}
	return o
}

// setHeaders says how a download was encrypted (documented).
func (e encryption) setHeaders(h http.Header) {
	switch e.mode {
	case "SSE-B2":
		h["X-Bz-Server-Side-Encryption"] = []string{"AES256"}
	case "SSE-C":
		h["X-Bz-Server-Side-Encryption-Customer-Algorithm"] = []string{"AES256"}
		h["X-Bz-Server-Side-Encryption-Customer-Key-Md5"] = []string{e.keyMD5}
	}
}

// headerEncryption reads the encryption of an upload or a download from its headers.
func headerEncryption(h http.Header) (encryption, error) {
	const customer = "X-Bz-Server-Side-Encryption-Customer-"
	plain := h.Get("X-Bz-Server-Side-Encryption")
	algorithm, key, sum := h.Get(customer+"Algorithm"), h.Get(customer+"Key"), h.Get(customer+"Key-Md5")
	switch {
	case plain != "" && algorithm+key+sum != "":
		return encryption{}, badRequest("SSE-B2 and SSE-C exclude each other")
	case plain != "":
		return newEncryption("SSE-B2", plain, "", "")
	case algorithm+key+sum != "":
		return newEncryption("SSE-C", algorithm, key, sum)
	}
	return encryption{}, nil
}

// fieldEncryption reads the encryption of a call from its JSON field.
func fieldEncryption(a *args, field string) (encryption, error) {
	o := a.object(field)
	if o == nil {
		return encryption{}, nil
	}
	mode, algorithm := o.optional("mode"), o.optional("algorithm")
	key, sum := o.optional("customerKey"), o.optional("customerKeyMd5")
	if err := o.done(); err != nil {
		return encryption{}, err
	}
	if mode == "" {
		return encryption{}, nil
	}
	return newEncryption(mode, algorithm, key, sum)
}

// newEncryption checks the parts of an encryption setting; the texts are uncertain.
func newEncryption(mode, algorithm, key, sum string) (encryption, error) {
	if algorithm != "AES256" {
		return encryption{}, badRequest("Invalid encryption algorithm: %s", algorithm)
	}
	switch mode {
	case "SSE-B2":
		if key+sum != "" {
			return encryption{}, badRequest("SSE-B2 takes no customer key")
		}
		return encryption{mode: mode}, nil
	case "SSE-C":
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil || len(raw) != 32 {
			return encryption{}, badRequest("customer key is not 32 bytes in base64")
		}
		digest := md5.Sum(raw)
		if sum != base64.StdEncoding.EncodeToString(digest[:]) {
			return encryption{}, badRequest("customer key does not match its MD5")
		}
		return encryption{mode: mode, keyMD5: sum}, nil
	}
	return encryption{}, badRequest("Invalid encryption mode: %s", mode)
}

// opens says whether the holder of given may read or add to what e encrypts:
// SSE-C needs the same key.
func (e encryption) opens(given encryption) error {
	if e.mode == "SSE-C" && given != e {
		return badRequest("the object is encrypted with another customer key")
	}
	if e.mode != "SSE-C" && given.mode == "SSE-C" {
		return badRequest("the object is not encrypted with a customer key")
	}
	return nil
}

// customTimestamp checks customUploadTimestamp, milliseconds since 1970 in text.
func (s *Server) customTimestamp(text string) (int64, error) {
	if !s.opts.CustomTimestamps {
		return 0, badCode("custom_timestamp_not_allowed", "this account may not set upload timestamps")
	}
	millis, err := strconv.ParseInt(text, 10, 64)
	if err != nil || millis <= 0 || millis > s.Now().UnixMilli() {
		return 0, badCode("custom_timestamp_invalid", "Invalid custom upload timestamp: %s", text)
	}
	return millis, nil
}
