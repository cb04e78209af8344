package s3backend

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/protect"
	"github.com/c1508ce4/sluice/internal/secret"
)

// FileOptions are what this store keeps of a file beside its bytes; see
// [Backend.With]. Zero fields are not sent. All of it is fixed when the upload
// starts.
type FileOptions struct {
	// Headers of downloads.
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string

	// StorageClass is "STANDARD_IA", "GLACIER_IR" or another one that the store knows.
	StorageClass string
	// Tags are at most 10, with keys of at most 128 and values of at most 256 characters.
	Tags map[string]string

	Encryption Encryption

	// Retention and LegalHold are Object Lock. The bucket must have it enabled.
	Retention Retention
	LegalHold LegalHold

	// CreateOnly does not replace a file of the same name: the error matches
	// [io/fs.ErrExist]. The store decides it when the file is finished
	// (If-None-Match). Some stores ignore that (Ceph 16 and gofakes3 for large
	// files), so the name is looked for, too; see Verify. The upload fails if the
	// store does not answer, unless the key may not look (403). On such a store
	// a file that takes the name after the look is replaced, as is any by an
	// upload whose key may not look, and the upload is reported as stored.
	CreateOnly bool

	// Verify looks at every file after it is stored, which takes one request, and one more for Tags
	// (s3:GetObjectTagging), and compares all that these options and the FileSpec ask for. An
	// [OptionsError] reports what differs.
	//
	// Without it protection alone is verified, automatically. Encryption is
	// verified by the store's answers, Retention and LegalHold by a look at the
	// finished file. For CreateOnly the name is looked for before the first byte
	// is sent, and again before a large file is finished.
	Verify bool
	// Unverified lists options that the store is trusted with, by the names of
	// their fields, such as "Retention": no answer is judged and no request is
	// spent for them.
	Unverified []string

	// OmitSluiceID leaves out the metadata key sluice-id, a random value by which an
	// upload whose answer was lost is told from other files of the same name and
	// size. Without it more outcomes stay unknown.
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

// The values of RetentionMode: a key with a special permission, or no key at all.
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
	mode  string
	kmsID string
	key   protect.Key
}

const (
	modeS3       = "SSE-S3"
	modeKMS      = "SSE-KMS"
	modeCustomer = "SSE-C"
)

// EncryptS3 encrypts with a key that the store manages (SSE-S3).
func EncryptS3() Encryption { return Encryption{shown: secret.Named(modeS3), mode: modeS3} }

// EncryptKMS encrypts with a key of the key management service (SSE-KMS), by
// its ID, ARN or alias; "" is the account's default key for the store.
func EncryptKMS(keyID string) Encryption {
	return Encryption{shown: secret.Named(modeKMS), mode: modeKMS, kmsID: keyID}
}

// EncryptCustomer encrypts with a key of the caller's (SSE-C), 32 bytes of
// AES-256. The store does not keep it: a file whose key is lost is lost.
func EncryptCustomer(key []byte) (Encryption, error) {
	k, err := protect.NewKey(key)
	if err != nil {
		return Encryption{}, fmt.Errorf("s3backend: %w", err)
	}
	return Encryption{shown: secret.Named(modeCustomer + " (key redacted)"), mode: modeCustomer, key: k}, nil
}

func (e Encryption) setHeaders(h http.Header) {
	switch e.mode {
	case modeS3:
		h.Set("X-Amz-Server-Side-Encryption", protect.Algorithm)
	case modeKMS:
		h.Set("X-Amz-Server-Side-Encryption", "aws:kms")
		if e.kmsID != "" {
			h.Set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", e.kmsID)
		}
	}
	e.setCustomer(h)
}

// setCustomer sets the headers that every call about a file with a customer's key carries.
func (e Encryption) setCustomer(h http.Header) { e.key.Set(h, "X-Amz-") }

// hidesMD5 reports whether ETags are not MD5s of the bytes (S3 API reference,
// Object: documented).
func (e Encryption) hidesMD5() bool { return e.mode == modeKMS || e.mode == modeCustomer }

func (e Encryption) secrets() []string { return e.key.Secrets() }

func (o *FileOptions) validate() error {
	if err := protect.CheckLock(string(o.Retention.Mode), o.Retention.Until, string(o.LegalHold)); err != nil {
		return err
	}
	for _, name := range o.Unverified {
		if !verifiable(name) {
			return fmt.Errorf("%q in Unverified is not an option that is verified", name)
		}
	}
	if len(o.Tags) > 10 {
		return fmt.Errorf("%d tags; a file has at most 10", len(o.Tags))
	}
	for key, value := range o.Tags {
		if n := utf8.RuneCountInString(key); n < 1 || n > 128 {
			return fmt.Errorf("tag key %.140q has %d characters, not 1 to 128", key, n)
		}
		if n := utf8.RuneCountInString(value); n > 256 {
			return fmt.Errorf("the value of tag %q has %d characters, at most 256 are taken", key, n)
		}
	}
	for name, value := range map[string]string{
		"CacheControl": o.CacheControl, "ContentDisposition": o.ContentDisposition,
		"ContentEncoding": o.ContentEncoding, "ContentLanguage": o.ContentLanguage,
		"StorageClass": o.StorageClass, "Encryption's key ID": o.Encryption.kmsID,
	} {
		if err := checkHeaderText(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (o *FileOptions) setHeaders(h http.Header) {
	for name, value := range map[string]string{
		"Cache-Control":       o.CacheControl,
		"Content-Disposition": o.ContentDisposition,
		"Content-Encoding":    o.ContentEncoding,
		"Content-Language":    o.ContentLanguage,

		"X-Amz-Storage-Class":          o.StorageClass,
		"X-Amz-Object-Lock-Mode":       strings.ToUpper(string(o.Retention.Mode)),
		"X-Amz-Object-Lock-Legal-Hold": strings.ToUpper(string(o.LegalHold)),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if !o.Retention.Until.IsZero() {
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", o.Retention.Until.UTC().Format(time.RFC3339))
	}
	if len(o.Tags) > 0 {
		tags := make(url.Values, len(o.Tags))
		for key, value := range o.Tags {
			tags.Set(key, value)
		}
		h.Set("X-Amz-Tagging", tagging(tags))
	}
	o.Encryption.setHeaders(h)
}

// tagging is the value of a header that has the tags, by rising key. Ceph 16 takes a plus sign
// for one.
func tagging(tags url.Values) string { return strings.ReplaceAll(tags.Encode(), "+", "%20") }

func (o *FileOptions) setCondition(h http.Header) {
	if o.CreateOnly {
		h.Set("If-None-Match", "*")
	}
}

// tagHeader holds a random value that no other upload has.
const tagHeader = "X-Amz-Meta-Sluice-Id"

// Limits of names and metadata (S3 user guide, "Naming objects" and "Working
// with object metadata": documented).
const (
	maxName = 1024
	maxInfo = 2 << 10
)

// checkName refuses names that would not come back as they were given.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the file name is empty")
	case len(name) > maxName:
		return fmt.Errorf("file name of %d bytes is over the limit of %d bytes", len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("file name %q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("file name %q has a control character", name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("file name %q has the segment %q, which servers on the way resolve", name, segment)
		}
	}
	return nil
}

// setInfo sets the headers of metadata, or refuses it. If tagged is set, and
// there is room, it adds a tag.
func setInfo(h http.Header, info map[string]string, tagged bool) error {
	total := 0
	for key, value := range info {
		total += len(key) + len(value)
		name := http.CanonicalHeaderKey("X-Amz-Meta-" + key)
		switch {
		case key == "" || strings.ContainsFunc(key, notToken):
			return fmt.Errorf("info key %q is not one or more letters, digits and hyphens or the like", key)
		case !isHeaderText(value) || strings.TrimSpace(value) != value:
			return fmt.Errorf("the value %q of info key %q is not plain ASCII without spaces at its ends", value, key)
		case name == tagHeader:
			return fmt.Errorf("info key %q is reserved", key)
		case h.Get(name) != "":
			return fmt.Errorf("info key %q is given twice: keys are stored in lower case", strings.ToLower(key))
		case value != "":
			h.Set(name, value)
		}
	}
	if total > maxInfo {
		return fmt.Errorf("info of %d bytes is over the limit of %d bytes", total, maxInfo)
	}
	if tag := rand.Text(); tagged && total+len("sluice-id")+len(tag) <= maxInfo {
		h.Set(tagHeader, tag)
	}
	return nil
}

// notToken tells what a header's name cannot carry (RFC 9110, 5.6.2).
func notToken(r rune) bool {
	return notPrintable(r) || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func isHeaderText(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

func checkHeaderText(name, value string) error {
	if !isHeaderText(value) {
		return fmt.Errorf("%s %q is not plain ASCII", name, value)
	}
	return nil
}

func checkSize(size, most int64) error {
	switch {
	case size < sluice.UnknownSize:
		return fmt.Errorf("size %d is negative", size)
	case size > most:
		return fmt.Errorf("%d bytes are over the limit of %d bytes: %w", size, most, sluice.ErrTooLarge)
	}
	return nil
}
