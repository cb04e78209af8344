package s3backend

import (
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/c1508ce4/sluice"
)

// Checksum selects the digest by which a store verifies the bytes that it is
// sent, in [Options].
type Checksum string

// The values of Checksum. All but ChecksumCRC64NVME over https have the SHA-256 of
// the bytes in the signature too, which stores verify.
const (
	// ChecksumAuto is CRC64NVME over https, and SHA-256 over plain http. It is the
	// zero value. A store that rejects a checksum is sent another one: SHA-256
	// instead of CRC64NVME, and none instead of SHA-256. The logger is told.
	ChecksumAuto Checksum = ""
	// ChecksumCRC64NVME costs the least. Amazon S3 keeps it for the whole file, of
	// large files too, so that it is compared when the file is finished, and when
	// it is read. Over https the bytes are left out of the signature once the store
	// has confirmed a checksum.
	ChecksumCRC64NVME Checksum = "crc64nvme"
	// ChecksumSHA256 serves the signature too. Of a large file Amazon S3 keeps the
	// SHA-256 of its parts.
	ChecksumSHA256 Checksum = "sha256"
	// ChecksumMD5 is the header Content-MD5, for stores with Object Lock that know
	// nothing newer. No header of requests begins with x-amz-checksum.
	ChecksumMD5 Checksum = "md5"
	// ChecksumNone sends no header about checksums, in uploads and when reading.
	ChecksumNone Checksum = "none"
)

// checksums returns what is sent, and what is sent in place of it where the store
// rejects that.
func (c Checksum) checksums(secure bool) ([]checksum, error) {
	switch c {
	case ChecksumAuto:
		list := []checksum{crc64Checksum, sha256Checksum, noChecksum}
		if !secure {
			list = list[1:]
		}
		return list, nil
	case ChecksumCRC64NVME:
		return []checksum{crc64Checksum}, nil
	case ChecksumSHA256:
		return []checksum{sha256Checksum}, nil
	case ChecksumMD5:
		if fips140.Enforced() {
			return nil, errors.New("Options.Checksum: MD5 is not allowed in FIPS 140-only mode")
		}
		return []checksum{md5Checksum}, nil
	case ChecksumNone:
		return []checksum{noChecksum}, nil
	default:
		return nil, fmt.Errorf("Options.Checksum %q is unknown", string(c))
	}
}

// protection is how the bytes of a bucket's files are protected. All handles of a
// Backend share what it learns of the store.
type protection struct {
	list   []checksum // the first is sent unless the store rejects it
	secure bool       // over https
	log    *slog.Logger

	level     atomic.Int32  // index in list of what the store takes, as far as it is known
	confirmed []atomic.Bool // by index in list: an answer of the store had the checksum
	doubted   atomic.Bool   // one had not, and the log says so
	mute      atomic.Bool   // the store rejects the header that asks for checksums
}

// index returns the place of sum in the list, -1 for one that another program has
// chosen.
func (p *protection) index(sum checksum) int {
	return slices.IndexFunc(p.list, func(c checksum) bool { return c.name == sum.name })
}

func (p *protection) confirms(sum checksum) bool {
	i := p.index(sum)
	return i >= 0 && p.confirmed[i].Load()
}

func (p *protection) confirm(sum checksum) {
	if i := p.index(sum); i >= 0 {
		p.confirmed[i].Store(true)
	}
}

// partDigests are what every part is sent with, if the store takes it.
func (p *protection) partDigests() []sluice.Algorithm {
	first := p.list[0]
	var list []sluice.Algorithm
	if first.name != "" {
		list = append(list, first.algorithm())
	}
	if first.name != sha256Checksum.name && !p.trusts(first) {
		list = append(list, sha256Checksum.algorithm())
	}
	return list
}

// trusts reports whether a checksum can replace the bytes in the signature.
func (p *protection) trusts(sum checksum) bool { return p.secure && sum.name == crc64Checksum.name }

// payload is what stands for the bytes in the signature. They are left out only
// when the store has shown that it computes their checksum: it would not notice
// otherwise that they were changed before or after TLS.
func (p *protection) payload(part *sluice.Part, sum checksum) (string, error) {
	if p.trusts(sum) && p.confirms(sum) {
		return unsigned, nil
	}
	digest, err := sha256Checksum.of(part)
	return hex.EncodeToString(digest), err
}

// started learns from the answer to the start of a large file.
func (p *protection) started(sum checksum, h http.Header) {
	if strings.EqualFold(h.Get("X-Amz-Checksum-Algorithm"), sum.name) {
		p.confirm(sum)
	}
}

// received learns from the answer to bytes, whose checksum was compared.
func (p *protection) received(sum checksum, h http.Header) {
	if sum.told(h) != "" {
		p.confirm(sum)
	} else if p.trusts(sum) && !p.confirms(sum) && p.doubted.CompareAndSwap(false, true) {
		p.log.Info("s3: the store does not confirm CRC64NVME checksums: bytes are signed by their SHA-256")
	}
}

// current is what new files are sent with.
func (p *protection) current() checksum { return p.list[p.level.Load()] }

// possible are current and what may replace it.
func (p *protection) possible() []checksum { return p.list[p.level.Load():] }

// orNone are sum, for a file that was begun with it, and none if that may replace it.
func (p *protection) orNone(sum checksum) []checksum {
	if len(p.list) > 1 && sum.name != "" {
		return []checksum{sum, noChecksum}
	}
	return []checksum{sum}
}

// givesUp reports whether sum may be given up because of an error. A store that is
// known to compute it rejects the bytes.
func (p *protection) givesUp(sum checksum, err error) bool {
	return len(p.list) > 1 && sum.name != "" && rejectsChecksum(err) && !p.confirms(sum)
}

// try makes a call with the first of the checksums, and with the next as long as
// the store rejects them. It returns the last that the call was made with.
func (p *protection) try(sums []checksum, call func(checksum) error) (checksum, error) {
	for i, sum := range sums {
		err := call(sum)
		if err == nil && i > 0 {
			p.settle(sum)
		}
		if !p.givesUp(sum, err) || i == len(sums)-1 {
			return sum, err
		}
	}
	return noChecksum, nil // never: there is at least one
}

// settle has later files sent with sum, or less.
func (p *protection) settle(sum checksum) {
	was, is := p.level.Load(), int32(p.index(sum))
	if is > was && p.level.CompareAndSwap(was, is) {
		p.log.Info("s3: the store rejects checksums by "+p.list[was].name, slog.String("instead", sum.name))
	}
}

// rejectsChecksum reports whether an answer may reject the checksum of its
// request. There is no code for that: stores name the header, or a feature that
// they have not. The answer to HEAD has no text.
func rejectsChecksum(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusNotImplemented {
		return false
	}
	if d, _ := classify(err); d != final {
		return false // the checksum is known, and the bytes differ
	}
	text := strings.ToLower(e.Code + " " + e.Message)
	return e.Call == "HeadObject" || e.Code == "NotImplemented" || strings.Contains(text, "checksum") || strings.Contains(text, "content-md5")
}

// modeHeader asks for the checksums of a file.
const modeHeader = "X-Amz-Checksum-Mode"

// asking makes a call with that header, and without it where the store rejects it.
func (p *protection) asking(h http.Header, call func() error) error {
	if !p.current().keeps() || p.mute.Load() {
		return call()
	}
	h.Set(modeHeader, "ENABLED")
	err := call()
	if len(p.list) == 1 || !rejectsChecksum(err) {
		return err
	}
	h.Del(modeHeader)
	if err = call(); err == nil {
		p.mute.Store(true)
	}
	return err
}
