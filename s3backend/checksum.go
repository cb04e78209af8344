package s3backend

import (
	"bytes"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"

	"github.com/c1508ce4/sluice"
)

// checksum is a digest that bytes are sent with, in a header: they lie in
// memory, so it is known before they are sent, and stores and buckets with Object
// Lock take it that take no trailer. The zero value is none.
type checksum struct {
	name   string // of the algorithm
	header string // canonical
	new    func() hash.Hash
}

var (
	crc64Checksum = checksum{"crc64nvme", "X-Amz-Checksum-Crc64nvme", func() hash.Hash { return crc64nvme.New() }}
	// sha256Checksum doubles as the payload's digest in the signature, so the
	// bytes are hashed once.
	sha256Checksum = checksum{"sha256", "X-Amz-Checksum-Sha256", sha256.New}
	md5Checksum    = checksum{"md5", "Content-Md5", md5.New}
	noChecksum     checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kept are the checksums that a store may keep of a file of any program, the
// strongest first (S3 API reference, GetObject: documented).
var kept = []checksum{
	sha256Checksum,
	{"sha1", "X-Amz-Checksum-Sha1", sha1.New},
	crc64Checksum,
	{"crc32c", "X-Amz-Checksum-Crc32c", func() hash.Hash { return crc32.New(castagnoli) }},
	{"crc32", "X-Amz-Checksum-Crc32", func() hash.Hash { return crc32.NewIEEE() }},
}

// algorithms compute the digests that a store may keep.
func algorithms() []sluice.Algorithm {
	var list []sluice.Algorithm
	for _, c := range kept {
		if c.name != "sha1" || !fips140.Enforced() { // it would panic
			list = append(list, c.algorithm())
		}
	}
	return list
}

func (c checksum) algorithm() sluice.Algorithm { return sluice.Algorithm{Name: c.name, New: c.new} }

// keeps reports whether a store may keep it, so that answers have it too.
func (c checksum) keeps() bool { return strings.HasPrefix(c.header, "X-Amz-Checksum-") }

// of is the part's digest, nil for none.
func (c checksum) of(p *sluice.Part) ([]byte, error) {
	if c.name == "" {
		return nil, nil
	}
	sum, err := p.Digest(c.algorithm())
	if err == nil && len(sum) != c.new().Size() {
		err = fmt.Errorf("s3backend: the %s of part %d has %d bytes", c.name, p.Number, len(sum))
	}
	return sum, err
}

// set puts the digest of the bytes into the header of their request.
func (c checksum) set(h http.Header, sum []byte) {
	if c.name != "" {
		h.Set(c.header, base64.StdEncoding.EncodeToString(sum))
	}
}

// start announces the checksums of the parts of a large file. Amazon S3 makes a
// CRC64NVME one of the whole file, and the others one of the parts' (S3 user
// guide, "Checking object integrity": documented).
func (c checksum) start(h http.Header) {
	if c.keeps() {
		h.Set("X-Amz-Checksum-Algorithm", strings.ToUpper(c.name))
	}
	if c.name == crc64Checksum.name {
		h.Set("X-Amz-Checksum-Type", fullObject)
	}
}

// fullObject is the type of a checksum of the whole file, in place of one of the
// parts' checksums.
const fullObject = "FULL_OBJECT"

// told is what an answer says of it.
func (c checksum) told(h http.Header) string {
	if !c.keeps() {
		return ""
	}
	return h.Get(c.header)
}

// composite is the digest that a store gives a large file: that of its parts'
// digests, and their number (S3 user guide, "Checking object integrity":
// documented). It is "" if one is missing.
func (c checksum) composite(sums [][]byte) string {
	if !c.keeps() {
		return ""
	}
	h := c.new()
	for _, sum := range sums {
		if len(sum) == 0 {
			return ""
		}
		h.Write(sum)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(sums))
}

// whole is the digest of the bytes of all parts, "" if that does not follow from
// those of the parts.
func (c checksum) whole(parts []sluice.Receipt, sums [][]byte) string {
	if c.name != crc64Checksum.name {
		return ""
	}
	var crc uint64
	for i, sum := range sums {
		if len(sum) != crc64nvme.Size {
			return ""
		}
		crc = joinCRC(crc, binary.BigEndian.Uint64(sum), parts[i].Size)
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

// joinCRC returns the CRC-64/NVME of some bytes and n more after them, of both
// CRCs. A CRC is a polynomial over GF(2) modulo the NVME polynomial, and n bytes
// after it multiply it by x to the power of 8n. What the CRC inverts at its start
// and its end cancels out.
func joinCRC(first, second uint64, n int64) uint64 {
	// x to the power of 0: the highest bit is the lowest power
	factor := uint64(1) << 63
	for square := uint64(1) << 55; n > 0; n >>= 1 { // x to the power of 8, 16, 32, …
		if n&1 == 1 {
			factor = multiply(factor, square)
		}
		square = multiply(square, square)
	}
	return multiply(first, factor) ^ second
}

func multiply(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		if a>>63 == 1 {
			product ^= b
		}
		b = b>>1 ^ crc64nvme.NVME*(b&1)
	}
	return product
}

// tagAlgorithm computes the ETag of a part, in most stores.
var tagAlgorithm = md5Checksum.algorithm()

// tagDigest returns the MD5 of a part's bytes that the part's ETag is, nil if it
// is none or nothing can be compared with it.
func (b *Backend) tagDigest(tag string) []byte {
	sum, err := hex.DecodeString(strings.Trim(tag, `"`))
	if err != nil || len(sum) != md5.Size || b.opaqueTags || b.options.Encryption.hidesMD5() || fips140.Enforced() {
		return nil
	}
	return sum
}

// entityTag is the ETag that most stores give a large file: the MD5 of its
// parts' ETags where these are MD5s, and their number, in quotes. It is "" if
// they are not.
func entityTag(parts []sluice.Receipt) string {
	var sums bytes.Buffer
	for i := range parts {
		sum, err := hex.DecodeString(strings.Trim(parts[i].ETag, `"`))
		if err != nil || len(sum) != md5.Size {
			return ""
		}
		sums.Write(sum)
	}
	var sum [md5.Size]byte
	// a name to compare, no security
	fips140.WithoutEnforcement(func() { sum = md5.Sum(sums.Bytes()) })
	return `"` + hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(parts)) + `"`
}
