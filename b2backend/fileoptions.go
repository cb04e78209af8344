package b2backend

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/protect"
	"github.com/c1508ce4/sluice/internal/secret"
)

// FileOptions are what this store keeps of a file beside its bytes; see
// [Backend.With]. Zero fields are not sent. All of it is fixed when the upload
// starts. What the service's answer shows not to be as asked for is an error
// that matches [sluice.ErrOptionIgnored]: a large file is cancelled then before
// its data is sent. An answer shows retention and legal hold only to a key with
// readFileRetentions and readFileLegalHolds.
type FileOptions struct {
	// LastModified is stored as src_last_modified_millis.
	LastModified time.Time
	// LargeFileSHA1 is the SHA-1 of the whole file in hex, stored as
	// large_file_sha1 of a large file. It has to be known at the start, which
	// of a stream it seldom is. The service keeps it and does not check it. A
	// file that has another SHA-1 fails before it is finished where that is
	// known: in a single upload, and where [sluice.Options].Digests asks for
	// "sha1".
	LargeFileSHA1 string

	// Headers of downloads: b2-content-disposition and so on. Check refuses
	// values that do not match the grammar that the service asks for: RFC 6266
	// for the disposition, RFC 2616 for the others.
	ContentDisposition string
	ContentLanguage    string
	ContentEncoding    string
	CacheControl       string
	Expires            time.Time

	// UploadTimestamp is stored in place of the time of the upload. It must not
	// be in the future. The service must have enabled it for the account. An
	// unfinished large file may then be listed as started at that time
	// (uncertain).
	UploadTimestamp time.Time

	// Retention and LegalHold are Object Lock. The bucket must have it enabled,
	// and the key the capabilities writeFileRetentions and writeFileLegalHolds.
	Retention Retention
	LegalHold LegalHold

	Encryption Encryption

	// OmitSluiceID leaves out the key sluice-id, a random value in the metadata
	// by which an upload is found whose answer was lost. It is also left out
	// where the metadata has ten keys already, or no room for its 35 bytes:
	// within 7000 bytes if the key can see that the bucket has no Object Lock
	// and encrypts nothing by default, within 2048 bytes otherwise.
	OmitSluiceID bool
}

// Retention keeps a file from being deleted or changed until a time.
type Retention struct {
	Mode  RetentionMode
	Until time.Time
}

// RetentionMode says whether a retention may be ended before its time. "" is no
// retention.
type RetentionMode string

// The values of RetentionMode: a key with a special permission, or no key at
// all.
const (
	Governance RetentionMode = "governance"
	Compliance RetentionMode = "compliance"
)

// LegalHold keeps a file until the hold is taken off.
type LegalHold string

// The values of LegalHold. "" leaves it to the bucket.
const (
	HoldOn  LegalHold = "on"
	HoldOff LegalHold = "off"
)

// Encryption is server-side encryption of a file. The zero value leaves it to
// the bucket. A customer's key is shown by no String, log or error.
type Encryption struct {
	shown
	mode string
	key  protect.Key
}

const (
	modeB2       = "SSE-B2"
	modeCustomer = "SSE-C"
)

// EncryptB2 encrypts with a key that the service manages (SSE-B2).
func EncryptB2() Encryption { return Encryption{shown: secret.Named(modeB2), mode: modeB2} }

// EncryptCustomer encrypts with a key of the caller's (SSE-C), 32 bytes of
// AES-256. The service does not keep it: a file whose key is lost is lost.
func EncryptCustomer(key []byte) (Encryption, error) {
	k, err := protect.NewKey(key)
	if err != nil {
		return Encryption{}, fmt.Errorf("b2backend: %w", err)
	}
	return Encryption{shown: secret.Named(modeCustomer + " (key redacted)"), mode: modeCustomer, key: k}, nil
}

func (e Encryption) object() *encryptionObject {
	if e.mode == "" {
		return nil
	}
	o := &encryptionObject{Mode: e.mode, Algorithm: protect.Algorithm}
	if e.key.Given() {
		o.CustomerKey, o.CustomerKeyMD5 = e.key.Base64()
	}
	return o
}

// setCustomer sets the headers that every part of a file with a customer's key
// carries.
func (e Encryption) setCustomer(h http.Header) { e.key.Set(h, "X-Bz-") }

func (e Encryption) secrets() []string { return e.key.Secrets() }

func (o *FileOptions) validate() error {
	if o.LargeFileSHA1 != "" {
		if sum, err := hex.DecodeString(o.LargeFileSHA1); err != nil || len(sum) != 20 {
			return fmt.Errorf("LargeFileSHA1 %q is not 40 hexadecimal digits", o.LargeFileSHA1)
		}
	}
	return protect.CheckLock(string(o.Retention.Mode), o.Retention.Until, string(o.LegalHold))
}

func (o *FileOptions) retention() *retentionObject {
	if o.Retention.Mode == "" {
		return nil
	}
	return &retentionObject{Mode: o.Retention.Mode, RetainUntilTime: o.Retention.Until.UnixMilli()}
}

// uploadTimestamp is the option as the calls take it, a string (documented), ""
// if there is none.
func (o *FileOptions) uploadTimestamp() string {
	if o.UploadTimestamp.IsZero() {
		return ""
	}
	return strconv.FormatInt(o.UploadTimestamp.UnixMilli(), 10)
}

// Keys of fileInfo with a meaning to the service or to us.
const (
	lastModifiedKey  = "src_last_modified_millis"
	largeFileSHA1Key = "large_file_sha1"
	// tagKey holds a random value that no other upload has. By it an upload
	// whose answer was lost is found.
	tagKey = "sluice-id"
)

// info is the fileInfo of a file: the caller's and the options', by lower-case
// keys.
func (o *FileOptions) info(spec sluice.FileSpec) (map[string]string, error) {
	info := make(map[string]string, len(spec.Metadata)+8)
	for key, value := range spec.Metadata {
		lower := strings.ToLower(key)
		if _, ok := info[lower]; ok {
			return nil, fmt.Errorf("info key %q is given twice: keys are stored in lower case", lower)
		}
		info[lower] = value
	}
	own := map[string]string{
		largeFileSHA1Key:         strings.ToLower(o.LargeFileSHA1),
		"b2-content-disposition": o.ContentDisposition,
		"b2-content-language":    o.ContentLanguage,
		"b2-content-encoding":    o.ContentEncoding,
		"b2-cache-control":       o.CacheControl,
	}
	if !o.LastModified.IsZero() {
		own[lastModifiedKey] = strconv.FormatInt(o.LastModified.UnixMilli(), 10)
	}
	if !o.Expires.IsZero() {
		own["b2-expires"] = o.Expires.UTC().Format(http.TimeFormat)
	}
	maps.DeleteFunc(own, func(_, value string) bool { return value == "" })
	for key, value := range own {
		if other, ok := info[key]; ok && other != value {
			return nil, fmt.Errorf("info key %q is given as %q, and as %q by the file options", key, other, value)
		}
		info[key] = value
	}
	return info, nil
}

// setHeaders sets the options' headers of b2_upload_file.
func (o *FileOptions) setHeaders(h http.Header) {
	if ms := o.uploadTimestamp(); ms != "" {
		h.Set("X-Bz-Custom-Upload-Timestamp", ms)
	}
	if r := o.retention(); r != nil {
		h.Set("X-Bz-File-Retention-Mode", string(r.Mode))
		h.Set("X-Bz-File-Retention-Retain-Until-Timestamp", strconv.FormatInt(r.RetainUntilTime, 10))
	}
	if o.LegalHold != "" {
		h.Set("X-Bz-File-Legal-Hold", string(o.LegalHold))
	}
	if o.Encryption.mode == modeB2 {
		h.Set("X-Bz-Server-Side-Encryption", protect.Algorithm)
	}
	o.Encryption.setCustomer(h)
}

// Limits of names and metadata, in bytes (documented).
const (
	maxName = 1024
	maxKey  = 50
	// The sum of the name, the keys and the values; the smaller one with
	// server-side encryption or Object Lock.
	maxHeaders       = 7000
	maxLockedHeaders = 2048
	// maxInfo is how many keys every age of the service takes. We keep our own
	// below it and leave the caller's to the service.
	maxInfo = 10
)

// checkName rejects names that the service does. Older rules (no leading or
// double slash, 250 bytes between slashes) may have gone, so they are left to
// it.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("file name is empty")
	case len(name) > maxName:
		return fmt.Errorf("file name of %d bytes (%q…) is over the limit of %d bytes", len(name), strings.ToValidUTF8(name[:40], ""), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("file name %q is not UTF-8", name)
	}
	for _, r := range name {
		if r < 32 || r == 127 {
			return fmt.Errorf("file name %q has the control character %U", name, r)
		}
	}
	return nil
}

// reservedKeys are the only ones that may begin with "b2-".
var reservedKeys = map[string]bool{
	"b2-content-disposition": true, "b2-content-language": true, "b2-content-encoding": true,
	"b2-expires": true, "b2-cache-control": true,
}

// checkInfo rejects fileInfo that the service does. Keys are in lower case.
func checkInfo(info map[string]string) error {
	for key, value := range info {
		switch {
		case reservedKeys[key] && !headerValue(key, value):
			return fmt.Errorf("info value of %q does not match the grammar of that header: %q", key, value)
		case key == "":
			return errors.New("info key is empty")
		case len(key) > maxKey:
			return fmt.Errorf("info key %q of %d bytes is over the limit of %d bytes", key, len(key), maxKey)
		case key == tagKey:
			return fmt.Errorf("info key %q is this package's own", key)
		case strings.HasPrefix(key, "b2-") && !reservedKeys[key]:
			return fmt.Errorf("info key %q: the prefix b2- is the service's own", key)
		case !utf8.ValidString(value):
			return fmt.Errorf("info value of %q is not UTF-8: %q", key, value)
		}
		for _, r := range key {
			if !isKeyRune(r) {
				return fmt.Errorf("info key %q has the character %q; letters, digits and -_.`~!#$%%&'*^|+ are allowed", key, r)
			}
		}
		for _, r := range value {
			if r < 32 || r == 127 {
				return fmt.Errorf("info value of %q has the control character %U", key, r)
			}
		}
	}
	return nil
}

func isKeyRune(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune("-_.`~!#$%&'*^|+", r) }

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func headerBytes(name string, info map[string]string) int {
	n := len(name)
	for key, value := range info {
		n += len(key) + len(value)
	}
	return n
}

// encode percent-encodes a name or a value for a header. url.PathEscape would
// leave a plus, which the service reads as a space (documented).
func encode(s string) string {
	return httpx.Escape(s, "._-/~!$'()*;=:@")
}

// checkContentType rejects what is no text for a header. Anything else is
// taken: live tests of the service's own Go client store "arbitrarystring".
// Blanks around it are refused because one of the calls would lose them.
func checkContentType(contentType string) error {
	switch {
	case strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r >= 0x7f }):
		return fmt.Errorf("content type %q is not plain ASCII", contentType)
	case strings.Trim(contentType, " ") != contentType:
		return fmt.Errorf("content type %q begins or ends with a blank", contentType)
	}
	return nil
}

func checkSize(size int64) error {
	switch {
	case size < 0 && size != sluice.UnknownSize:
		return fmt.Errorf("file size %d is negative", size)
	case size > maxFile:
		return fmt.Errorf("file of %d bytes is over the limit of %d bytes: %w", size, int64(maxFile), sluice.ErrTooLarge)
	}
	return nil
}

// headerGrammar is what the reserved info keys may have as values, but for
// b2-expires, which is a time. The service takes no parameter continuations, and
// extended values in UTF-8 without a language only (documented). A language tag
// may have digits after its first part, which RFC 2616 does not know and its
// successors do: those are left to the service.
var headerGrammar = func() map[string]*regexp.Regexp {
	const (
		token = `[^()<>@,;:\\"/\[\]?={} ]+`
		value = `(?:` + token + `|"(?:[^"\\]|\\.)*")`
		name  = `[^()<>@,;:\\"/\[\]?={} *]+`
		// an extended value of RFC 5987
		extended  = `(?i:UTF-8)''(?:[^()<>@,;:\\"/\[\]?={} *'%]|%[0-9A-Fa-f]{2})*`
		parameter = name + `(?: *= *` + value + `|\* *= *` + extended + `)`
		language  = `[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*`
	)
	list := func(element string) *regexp.Regexp {
		return regexp.MustCompile(`^` + element + `(?: *, *` + element + `)*$`)
	}
	return map[string]*regexp.Regexp{
		"b2-content-disposition": regexp.MustCompile(`^` + token + `(?: *; *` + parameter + `)*$`),
		"b2-content-language":    list(language),
		"b2-content-encoding":    list(token),
		"b2-cache-control":       list(token + `(?:=` + value + `)?`),
	}
}()

var printable = regexp.MustCompile(`^[ -~]*$`)

func headerValue(key, value string) bool {
	if grammar, ok := headerGrammar[key]; ok {
		return printable.MatchString(value) && grammar.MatchString(value)
	}
	_, err := http.ParseTime(value)
	return err == nil
}
