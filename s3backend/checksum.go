package s3backend

import (
	"bytes"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
)

// checksum is the digest that every part is sent with, in a header: its bytes lie in memory, so it is known
// before they are sent, and stores and buckets with Object Lock take it that take no trailer.
type checksum struct {
	name   string // of the algorithm
	code   string // of the algorithm in the API
	header string // canonical
	new    func() hash.Hash
	set    func(*completedPart, string)
}

// sha256Checksum doubles as the payload's digest in the signature, so the bytes are hashed once.
var sha256Checksum = checksum{
	name: "sha256", code: "SHA256", header: "X-Amz-Checksum-Sha256", new: sha256.New,
	set: func(p *completedPart, text string) { p.ChecksumSHA256 = text },
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var crc32cChecksum = checksum{
	name: "crc32c", code: "CRC32C", header: "X-Amz-Checksum-Crc32c",
	new: func() hash.Hash { return crc32.New(castagnoli) },
	set: func(p *completedPart, text string) { p.ChecksumCRC32C = text },
}

// kept are the digests that a store may keep of a file, whoever sent it, the strongest first (S3 API reference,
// GetObject: documented).
var kept = []checksum{
	sha256Checksum,
	{name: "sha1", header: "X-Amz-Checksum-Sha1", new: sha1.New},
	{name: "crc64nvme", header: "X-Amz-Checksum-Crc64nvme", new: func() hash.Hash { return crc64.New(nvme) }},
	crc32cChecksum,
	{name: "crc32", header: "X-Amz-Checksum-Crc32", new: func() hash.Hash { return crc32.NewIEEE() }},
}

// nvme is the polynomial of CRC-64/NVME, reversed.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func (c checksum) algorithm() sluice.Algorithm { return sluice.Algorithm{Name: c.name, New: c.new} }

// of is the part's digest.
func (c checksum) of(p *sluice.Part) ([]byte, error) {
	sum := p.Digests.Get(c.name)
	if len(sum) != c.new().Size() {
		return nil, fmt.Errorf("s3backend: part %d comes without its %s", p.Number, c.name)
	}
	return sum, nil
}

// payload is what stands for bytes of that digest in the signature.
func (c checksum) payload(sum []byte) string {
	if c.name == sha256Checksum.name {
		return hex.EncodeToString(sum)
	}
	return unsigned
}

// composite is the digest that a store gives a large file: that of its parts' digests, and their number (S3 user
// guide, "Checking object integrity": documented). It is "" if a receipt has none.
func (c checksum) composite(parts []sluice.Receipt) string {
	h := c.new()
	for i := range parts {
		sum := parts[i].Digests.Get(c.name)
		if len(sum) == 0 {
			return ""
		}
		h.Write(sum)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// entityTag is the ETag that most stores give a large file: the MD5 of its parts' ETags where these are MD5s, and
// their number, in quotes. It is "" if they are not.
func entityTag(parts []sluice.Receipt) string {
	var sums bytes.Buffer
	for i := range parts {
		sum, err := hex.DecodeString(strings.Trim(parts[i].Tag, `"`))
		if err != nil || len(sum) != md5.Size {
			return ""
		}
		sums.Write(sum)
	}
	var sum [md5.Size]byte
	fips140.WithoutEnforcement(func() { sum = md5.Sum(sums.Bytes()) }) // a name to compare, no security
	return `"` + hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(parts)) + `"`
}
