package b2backend

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/customerkey"
)

// FileOptions are what this store keeps of a file beside its bytes; see [Backend.With]. Zero fields are not sent.
// All of it is fixed when the upload starts.
type FileOptions struct {
	// LastModified is stored as src_last_modified_millis.
	LastModified time.Time
	// LargeFileSHA1 is the SHA-1 of the whole file in hex, stored as large_file_sha1 of a large file. The service
	// keeps it and does not check it. It has to be known at the start, which of a stream it seldom is.
	LargeFileSHA1 string

	// Headers of downloads: b2-content-disposition and so on. The service checks their grammar.
	ContentDisposition string
	ContentLanguage    string
	ContentEncoding    string
	CacheControl       string
	Expires            time.Time

	// UploadTimestamp is stored in place of the time of the upload. The service must have enabled it for the
	// account. An unfinished large file may then be listed as started at that time (uncertain).
	UploadTimestamp time.Time

	// Retention and LegalHold are Object Lock. The bucket must have it enabled, and the key the capabilities
	// writeFileRetentions and writeFileLegalHolds.
	Retention Retention
	LegalHold LegalHold

	Encryption Encryption

	// Untagged leaves out the key sluice-id, a random value in the metadata by which an upload is found whose
	// answer was lost. It is also left out where the metadata has no room for it, or ten keys already.
	Untagged bool
}

// Retention keeps a file from being deleted or changed until a time.
type Retention struct {
	Mode  string // "governance" or "compliance"; "" is none
	Until time.Time
}

// LegalHold keeps a file until the hold is taken off.
type LegalHold string

// The values of LegalHold. "" leaves it to the bucket.
const (
	HoldOn  LegalHold = "on"
	HoldOff LegalHold = "off"
)

// Encryption is server-side encryption of a file. The zero value leaves it to the bucket. A customer's key is
// shown by no String, log or error.
type Encryption struct {
	mode string
	key  customerkey.Key
}

const (
	modeB2       = "SSE-B2"
	modeCustomer = "SSE-C"
)

// EncryptB2 encrypts with a key that the service manages (SSE-B2).
func EncryptB2() Encryption { return Encryption{mode: modeB2} }

// EncryptCustomer encrypts with a key of the caller's (SSE-C), 32 bytes of AES-256. The service does not keep it:
// a file whose key is lost is lost.
func EncryptCustomer(key []byte) (Encryption, error) {
	k, err := customerkey.New(key)
	if err != nil {
		return Encryption{}, fmt.Errorf("b2backend: %w", err)
	}
	return Encryption{mode: modeCustomer, key: k}, nil
}

// String is the mode.
func (e Encryption) String() string {
	switch e.mode {
	case "":
		return "bucket default"
	case modeCustomer:
		return modeCustomer + " (key redacted)"
	default:
		return e.mode
	}
}

// Format prints [Encryption.String] for every verb.
func (e Encryption) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// LogValue is [Encryption.String].
func (e Encryption) LogValue() slog.Value { return slog.StringValue(e.String()) }

// object is the encryption in JSON, nil if it is the bucket's.
func (e Encryption) object() *encryptionObject {
	if e.mode == "" {
		return nil
	}
	o := &encryptionObject{Mode: e.mode, Algorithm: customerkey.Algorithm}
	if e.key.Given() {
		o.CustomerKey, o.CustomerKeyMD5 = e.key.Base64()
	}
	return o
}

// setCustomer sets the headers that every part of a file with a customer's key carries.
func (e Encryption) setCustomer(h http.Header) { e.key.Set(h, "X-Bz-") }

// secrets are what must be cut from errors.
func (e Encryption) secrets() []string { return e.key.Secrets() }

// validate refuses options that the service would.
func (o *FileOptions) validate() error {
	if o.LargeFileSHA1 != "" {
		if sum, err := hex.DecodeString(o.LargeFileSHA1); err != nil || len(sum) != 20 {
			return fmt.Errorf("LargeFileSHA1 %q is not 40 hexadecimal digits", o.LargeFileSHA1)
		}
	}
	switch o.Retention.Mode {
	case "":
		if !o.Retention.Until.IsZero() {
			return fmt.Errorf("Retention.Until is %v but Retention.Mode is empty", o.Retention.Until)
		}
	case "governance", "compliance":
		if o.Retention.Until.IsZero() {
			return fmt.Errorf("Retention.Mode is %q but Retention.Until is not set", o.Retention.Mode)
		}
	default:
		return fmt.Errorf("Retention.Mode %q is neither governance nor compliance", o.Retention.Mode)
	}
	switch o.LegalHold {
	case "", HoldOn, HoldOff:
	default:
		return fmt.Errorf("LegalHold %q is neither on nor off", string(o.LegalHold))
	}
	return nil
}

// retention is the option in JSON, nil if there is none.
func (o *FileOptions) retention() *retentionObject {
	if o.Retention.Mode == "" {
		return nil
	}
	return &retentionObject{Mode: o.Retention.Mode, RetainUntilTime: o.Retention.Until.UnixMilli()}
}

func (o *FileOptions) uploadTimestamp() int64 {
	if o.UploadTimestamp.IsZero() {
		return 0
	}
	return o.UploadTimestamp.UnixMilli()
}

// Keys of fileInfo with a meaning to the service or to us.
const (
	lastModifiedKey  = "src_last_modified_millis"
	largeFileSHA1Key = "large_file_sha1"
	// tagKey holds a random value that no other upload has. By it an upload whose answer was lost is found.
	tagKey = "sluice-id"
)

// info is the fileInfo of a file: the caller's and the options', by lower-case keys.
func (o *FileOptions) info(spec sluice.FileSpec) (map[string]string, error) {
	info := make(map[string]string, len(spec.Info)+8)
	for key, value := range spec.Info {
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
	if ms := o.uploadTimestamp(); ms != 0 {
		h.Set("X-Bz-Custom-Upload-Timestamp", strconv.FormatInt(ms, 10))
	}
	if r := o.retention(); r != nil {
		h.Set("X-Bz-File-Retention-Mode", r.Mode)
		h.Set("X-Bz-File-Retention-Retain-Until-Timestamp", strconv.FormatInt(r.RetainUntilTime, 10))
	}
	if o.LegalHold != "" {
		h.Set("X-Bz-File-Legal-Hold", string(o.LegalHold))
	}
	if o.Encryption.mode == modeB2 {
		h.Set("X-Bz-Server-Side-Encryption", customerkey.Algorithm)
	}
	o.Encryption.setCustomer(h)
}
