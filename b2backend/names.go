package b2backend

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// Limits of names and metadata, in bytes (documented).
const (
	maxName = 1024
	maxKey  = 50
	// The sum of the name, the keys and the values; the smaller one with server-side encryption or Object Lock.
	maxHeaders       = 7000
	maxLockedHeaders = 2048
	// maxInfo is how many keys every age of the service takes. We keep our own below it and leave the
	// caller's to the service.
	maxInfo = 10
)

// checkName refuses names that the service does. Older rules (no leading or double slash, 250 bytes between
// slashes) may have gone, so they are left to it.
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

// checkInfo refuses fileInfo that the service does. Keys are in lower case.
func checkInfo(info map[string]string) error {
	for key, value := range info {
		switch {
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

func isKeyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.`~!#$%&'*^|+", r)
}

// headerBytes is what counts towards maxHeaders.
func headerBytes(name string, info map[string]string) int {
	n := len(name)
	for key, value := range info {
		n += len(key) + len(value)
	}
	return n
}

// encode percent-encodes a name or a value for a header. url.PathEscape would leave a plus, which the service
// reads as a space (documented).
func encode(s string) string {
	return exchange.Escape(s, "._-/~!$'()*;=:@")
}

// checkSize refuses a declared size that no file can have.
func checkSize(size int64) error {
	switch {
	case size < 0 && size != sluice.UnknownSize:
		return fmt.Errorf("file size %d is negative", size)
	case size > maxFile:
		return fmt.Errorf("file of %d bytes is over the limit of %d bytes", size, int64(maxFile))
	}
	return nil
}
