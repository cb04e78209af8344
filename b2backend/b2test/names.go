package b2test

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	maxNameBytes      = 1024 // documented
	maxInfoKeyBytes   = 50   // documented
	maxInfoBytes      = 7000 // name, keys and values together, documented
	maxInfoBytesTight = 2048 // the same with encryption or in a bucket with Object Lock, documented
	maxSegmentBytes   = 250  // older documentation
	maxInfoKeys       = 10   // older documentation
)

// checkName enforces the rules for file names. Only the text for an empty name is recorded.
func (s *Server) checkName(name string) error {
	switch {
	case name == "":
		return badRequest("File names must contain at least one character")
	case !utf8.ValidString(name):
		return badRequest("File names must be valid UTF-8")
	case len(name) > maxNameBytes:
		return badRequest("File names must be no more than %d bytes of UTF-8, not %d", maxNameBytes, len(name))
	}
	for _, r := range name {
		if r < 0x20 {
			// reported
			return badRequest("File names must not contain unicode characters with codes less than 32")
		}
		if r == 0x7f {
			return badRequest("File names must not contain the character with code %d", r)
		}
	}
	if !s.opts.Uncertain.OldLimits {
		return nil
	}
	switch {
	case strings.HasPrefix(name, "/"):
		return badRequest("File names must not start with '/'")
	case strings.HasSuffix(name, "/"):
		return badRequest("File names must not end with '/'")
	case strings.Contains(name, "//"):
		return badRequest("File names must not contain '//'")
	case strings.Contains(name, `\`):
		return badRequest(`File names must not contain '\'`)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if len(segment) > maxSegmentBytes {
			return badRequest("File name segments must be no more than %d bytes, not %d", maxSegmentBytes, len(segment))
		}
	}
	return nil
}

// checkInfo enforces the rules for fileInfo and returns it with its keys in
// lower case. The texts are uncertain.
func (s *Server) checkInfo(name string, info map[string]string, tight bool) (map[string]string, error) {
	if s.opts.Uncertain.OldLimits && len(info) > maxInfoKeys {
		return nil, badRequest("fileInfo has %d keys, the most is %d", len(info), maxInfoKeys)
	}
	total := len(name)
	lower := make(map[string]string, len(info))
	for key, value := range info {
		if err := checkInfoKey(key); err != nil {
			return nil, err
		}
		if !utf8.ValidString(value) {
			return nil, badRequest("fileInfo value of %s is not UTF-8", key)
		}
		key = strings.ToLower(key)
		if strings.HasPrefix(key, "b2-") && !reservedInfo(key) {
			return nil, badRequest("fileInfo key %s starts with b2-, which is reserved", key)
		}
		if reservedInfo(key) && !headerInfo(key, value) {
			return nil, badRequest("fileInfo value of %s does not match the grammar of the header", key)
		}
		if _, twice := lower[key]; twice {
			return nil, badRequest("fileInfo key %s is given twice", key)
		}
		lower[key] = value
		total += len(key) + len(value)
	}
	limit := maxInfoBytes
	if tight {
		limit = maxInfoBytesTight
	}
	if total > limit {
		return nil, badRequest("file name and fileInfo take %d bytes, the most is %d", total, limit)
	}
	return lower, nil
}

func checkInfoKey(key string) error {
	if key == "" || len(key) > maxInfoKeyBytes {
		return badRequest("fileInfo key %q is not within 1 and %d bytes", key, maxInfoKeyBytes)
	}
	for i := range len(key) {
		c := key[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum && !strings.ContainsRune("-_.`~!#$%&'*^|+", rune(c)) {
			return badRequest("fileInfo key %q holds the character %q", key, c)
		}
	}
	return nil
}

// reservedInfo tells the keys that downloads answer as plain headers.
func reservedInfo(key string) bool { return plainHeader(key) != "" }

// plainHeader is the download header that a b2- key of fileInfo becomes, "" for
// other keys (documented).
func plainHeader(key string) string {
	switch key {
	case "b2-content-disposition":
		return "Content-Disposition"
	case "b2-content-language":
		return "Content-Language"
	case "b2-content-encoding":
		return "Content-Encoding"
	case "b2-expires":
		return "Expires"
	case "b2-cache-control":
		return "Cache-Control"
	}
	return ""
}

func headerValue(value string) bool {
	if value == "" {
		return false
	}
	for i := range len(value) {
		if value[i] < 0x20 || value[i] > 0x7e {
			return false
		}
	}
	return true
}

// decodeName undoes percent-encoding; a plus is a space (documented).
func decodeName(s string) (string, error) {
	decoded, err := url.QueryUnescape(s)
	if err != nil {
		return "", badRequest("Bad percent-encoding: %s", s)
	}
	return decoded, nil
}

// encodeName percent-encodes all but what the service leaves as it is (documented).
func encodeName(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if alnum || strings.IndexByte("._-/~!$'()*;=:@", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// resolveType replaces b2/x-auto by the type that goes with the extension. The
// table is short on purpose: the service's own is long, and a client must not
// depend on it.
func resolveType(contentType, name string) string {
	if contentType != "b2/x-auto" {
		return contentType
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "application/octet-stream"
	}
	switch strings.ToLower(name[dot:]) {
	case ".txt":
		return "text/plain"
	case ".htm", ".html":
		return "text/html"
	case ".css":
		return "text/css"
	case ".json":
		return "application/json"
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	case ".tar":
		return "application/x-tar"
	case ".gz":
		return "application/gzip"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".mp4":
		return "video/mp4"
	}
	return "application/octet-stream"
}

// checkContentType returns a content type without the blanks around it, which a
// header loses too. What is no text for a header is refused; anything else is
// taken, with a slash or without: live tests of the service's own client upload
// "arbitrarystring" by both calls (reported). The text is uncertain, the code
// documented for start.
func checkContentType(contentType string) (string, error) {
	trimmed := strings.Trim(contentType, " \t")
	if !headerValue(trimmed) {
		return "", &apiError{status: 415, code: "unsupported_media_type", message: "Bad content type: " + contentType}
	}
	return trimmed, nil
}
