package s3backend

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/decode"
)

// The XML of the API (S3 API reference: documented). Names are matched whatever
// their namespace, which some stores leave out.

type createAnswer struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	UploadID string   `xml:"UploadId"`
}

// IDs are checked where the answer is decoded; see package decode.
func (a *createAnswer) IDs() []string { return []string{a.UploadID} }

type completeRequest struct {
	XMLName xml.Name        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber int
	ETag       string
	checksums
}

type completeAnswer struct {
	XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
	Key     string
	ETag    string
	checksums
}

type listPartsAnswer struct {
	XMLName           xml.Name `xml:"ListPartsResult"`
	IsTruncated       bool
	ChecksumAlgorithm string
	Parts             []struct {
		PartNumber   int
		ETag         string
		Size         int64
		LastModified decode.Time
		checksums
	} `xml:"Part"`
}

// checksums are those of a part or of a file, each in base64 or "".
type checksums struct {
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC32     string `xml:",omitempty"`
}

// by returns the place of the one by the algorithm, which is among kept.
func (c *checksums) by(algorithm string) *string {
	switch algorithm {
	case "sha256":
		return &c.ChecksumSHA256
	case "sha1":
		return &c.ChecksumSHA1
	case "crc64nvme":
		return &c.ChecksumCRC64NVME
	case "crc32c":
		return &c.ChecksumCRC32C
	default:
		return &c.ChecksumCRC32
	}
}

// digests returns those that are digests of the bytes. One of the parts' digests
// has their number after it.
func (c *checksums) digests() sluice.Digests {
	var list sluice.Digests
	for _, k := range kept {
		sum, err := base64.StdEncoding.DecodeString(*c.by(k.name))
		if err == nil && len(sum) == k.new().Size() {
			list = append(list, sluice.Digest{Name: k.name, Sum: sum})
		}
	}
	return list
}

// decoder is a call's read for an answer in XML.
func decoder[T any](answer *T) func(http.Header, io.Reader) error {
	return func(_ http.Header, body io.Reader) error {
		var fresh T
		if err := decode.XML(body, &fresh, answerLimits); err != nil {
			return err
		}
		*answer = fresh
		return nil
	}
}

// errNoProgress means that a list goes round in circles.
var errNoProgress = errors.New("the list goes on where it began")

// maxTag is the longest ETag that is kept, in bytes. Those of the stores that
// are known have some forty.
const maxTag = 1 << 10

// check returns why a page of the parts after a number is not usable. most is
// the largest number that there can be.
func (a *listPartsAnswer) check(last, most int) error {
	if a.IsTruncated && len(a.Parts) == 0 {
		return errNoProgress
	}
	for _, p := range a.Parts {
		switch {
		case p.PartNumber <= last:
			return errNoProgress
		case p.PartNumber > most:
			return fmt.Errorf("part %d is over the limit of %d parts", p.PartNumber, most)
		case p.Size < 0 || len(p.ETag) > maxTag:
			return fmt.Errorf("part %d has %d bytes and an ETag of %d bytes", p.PartNumber, p.Size, len(p.ETag))
		}
		last = p.PartNumber
	}
	return nil
}

type stored struct {
	tag     string
	version string
	digests sluice.Digests
	header  http.Header
}

// read takes the headers of an answer to bytes that were sent with a digest. A
// digest that the store says is compared.
func (s *stored) read(h http.Header, sent checksum, sum []byte) error {
	*s = stored{tag: strongTag(h.Get("Etag")), version: h.Get("X-Amz-Version-Id"), header: h}
	if s.tag == "" {
		return errors.New("no ETag")
	}
	said := sent.told(h)
	if said == "" {
		return nil
	}
	if said != base64.StdEncoding.EncodeToString(sum) {
		return fmt.Errorf("%s %.80q is not that of the bytes sent", sent.name, said)
	}
	s.digests = sluice.Digests{{Name: sent.name, Sum: append([]byte(nil), sum...)}}
	return nil
}

// object is a finished file as HeadObject shows it.
type object struct {
	size     int64
	ownTag   string // value of tagHeader
	tag      string
	checksum string // of a large file with "-" and the number of parts, in most stores
	version  string
	modified time.Time // zero if the store does not say
}

func (o *object) read(h http.Header, sent checksum) error {
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("content length %.40q", h.Get("Content-Length"))
	}
	*o = object{
		size: size, ownTag: h.Get(tagHeader), tag: strongTag(h.Get("Etag")), checksum: sent.told(h),
		version: h.Get("X-Amz-Version-Id"),
	}
	o.modified, _ = http.ParseTime(h.Get("Last-Modified"))
	return nil
}

// strongTag is an ETag without the sign of a weak one, which proxies that
// compress answers put before the store's.
func strongTag(tag string) string { return strings.TrimPrefix(tag, "W/") }

// id is the name that a finished file goes by beside its key: its version where
// the bucket keeps versions, else its ETag.
func id(version, tag string) string {
	if version != "" && version != "null" {
		return version
	}
	return strings.Trim(tag, `"`)
}
