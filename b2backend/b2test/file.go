package b2test

import "time"

// The actions of a file version.
const (
	actionStart  = "start"
	actionUpload = "upload"
	actionCopy   = "copy"
	actionHide   = "hide"
)

// file is a file version, or a large file on the way to be one. The server's lock guards it.
type file struct {
	id          string
	name        string
	bucket      *bucket
	action      string
	sequence    int   // order of arrival
	timestamp   int64 // milliseconds since 1970
	contentType string
	info        map[string]string
	stored
	protection
	sse encryption

	vault     int
	vaultFull bool // no upload URL is to be had
	parts     map[int]*part
	finishes
}

// stored is the bytes of a file or a part, and what is answered of them.
type stored struct {
	length  int64
	sha1    string // hex, unverified:hex or none
	md5     string // "" is answered as null
	content content
}

// part is a stored part of a large file.
type part struct {
	number int
	stored
	sse      encryption
	began    time.Time // when its upload began, which lists show in whole seconds (recorded)
	answered time.Time // when it was answered, which the answer shows in milliseconds (recorded)
}

// content is stored bytes, in pieces that are never changed. It is empty in a server that discards.
type content [][]byte

// slice is the piece of c from offset on, of n bytes at most.
func (c content) slice(offset, n int64) content {
	var out content
	for _, piece := range c {
		if n <= 0 {
			break
		}
		if size := int64(len(piece)); offset >= size {
			offset -= size
			continue
		}
		piece = piece[offset:]
		offset = 0
		piece = piece[:min(int64(len(piece)), n)]
		n -= int64(len(piece))
		out = append(out, piece)
	}
	return out
}

// seconds is t in milliseconds since 1970, cut to whole seconds as file
// versions show it (recorded).
func seconds(t time.Time) int64 { return t.Unix() * 1000 }

// newFile makes a version of now in b, which is not yet stored. The lock is held.
func (s *Server) newFile(b *bucket, name, action string) *file {
	s.sequence++
	now := s.Now()
	f := &file{
		name: name, bucket: b, action: action, sequence: s.sequence, timestamp: seconds(now), vault: newVault(),
		stored: stored{sha1: "none"},
	}
	f.id = newFileID(b.ID, action == actionStart, f.vault, now)
	if action == actionStart {
		f.parts = map[int]*part{}
	}
	return f
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// fileObject is a version as all answers show it (recorded, key for key). A
// hide marker lacks lock and encryption.
func (x *exchange) fileObject(f *file) object {
	info := object{}
	for key, value := range f.info {
		info[key] = value
	}
	o := object{
		"accountId":       x.s.account,
		"action":          f.action,
		"bucketId":        f.bucket.ID,
		"contentLength":   f.length,
		"contentMd5":      textOrNull(f.md5),
		"contentSha1":     f.sha1,
		"contentType":     f.contentType,
		"fileId":          f.id,
		"fileInfo":        info,
		"fileName":        f.name,
		"uploadTimestamp": f.timestamp,
	}
	if f.action != actionHide {
		f.describe(x.token.key, o)
		o["serverSideEncryption"] = f.sse.object()
	}
	return o
}

// object is a part as answers show it (recorded), with the moment that the kind
// of answer calls for.
func (p *part) object(fileID string, millis int64) object {
	return object{
		"contentLength":        p.length,
		"contentMd5":           textOrNull(p.md5),
		"contentSha1":          p.sha1,
		"fileId":               fileID,
		"partNumber":           p.number,
		"serverSideEncryption": p.sse.object(),
		"uploadTimestamp":      millis,
	}
}
