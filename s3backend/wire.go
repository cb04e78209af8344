package s3backend

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
)

// The XML of the API (S3 API reference: documented). Names are matched whatever their namespace, which some
// stores leave out.

type createAnswer struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	UploadID string   `xml:"UploadId"`
}

type completeRequest struct {
	XMLName xml.Name        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber     int
	ETag           string
	ChecksumSHA256 string `xml:",omitempty"`
	ChecksumCRC32C string `xml:",omitempty"`
}

type completeAnswer struct {
	XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
	ETag    string
}

type listPartsAnswer struct {
	XMLName     xml.Name `xml:"ListPartsResult"`
	IsTruncated bool
	Parts       []struct {
		PartNumber     int
		ETag           string
		Size           int64
		LastModified   time.Time
		ChecksumSHA256 string
		ChecksumCRC32C string
	} `xml:"Part"`
}

type listUploadsAnswer struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	EncodingType       string
	IsTruncated        bool
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Uploads            []struct {
		Key       string
		UploadID  string `xml:"UploadId"`
		Initiated time.Time
	} `xml:"Upload"`
}

// decoder is a call's read for an answer in XML.
func decoder[T any](answer *T) func(http.Header, []byte) error {
	return func(_ http.Header, body []byte) error {
		var fresh T
		if err := xml.Unmarshal(body, &fresh); err != nil {
			return fmt.Errorf("%d bytes that are not the XML expected: %w", len(body), err)
		}
		*answer = fresh
		return nil
	}
}

// errNoProgress means that a list goes round in circles.
var errNoProgress = errors.New("the list goes on where it began")

// settle decodes the keys of a page, and says why one that was asked for by the query is not usable.
func (a *listUploadsAnswer) settle(query url.Values) error {
	if a.EncodingType == "url" {
		keys := []*string{&a.NextKeyMarker}
		for i := range a.Uploads {
			keys = append(keys, &a.Uploads[i].Key)
		}
		for _, key := range keys {
			var err error
			if *key, err = url.QueryUnescape(*key); err != nil {
				return errors.New("a key that is not escaped as was asked")
			}
		}
	}
	same := a.NextKeyMarker == query.Get("key-marker") && a.NextUploadIDMarker == query.Get("upload-id-marker")
	if a.IsTruncated && (a.NextKeyMarker == "" || same) {
		return errNoProgress
	}
	return nil
}

// check says why a page of the parts behind a number is not usable.
func (a *listPartsAnswer) check(last int) error {
	if a.IsTruncated && len(a.Parts) == 0 {
		return errNoProgress
	}
	for _, p := range a.Parts {
		if p.PartNumber <= last {
			return errNoProgress
		}
		last = p.PartNumber
	}
	return nil
}

// stored is what the answer to bytes says of them.
type stored struct {
	tag     string
	version string
	digests sluice.Digests
}

// read takes the headers of an answer to bytes that were sent with a digest. A digest that the store says is
// compared.
func (s *stored) read(h http.Header, sent checksum, sum []byte) error {
	*s = stored{tag: h.Get("Etag"), version: h.Get("X-Amz-Version-Id")}
	if s.tag == "" {
		return errors.New("no ETag")
	}
	said := h.Get(sent.header)
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
	tag      string
	checksum string // of a large file with "-" and the number of parts, in most stores
	version  string
}

func (o *object) read(h http.Header, sent checksum) error {
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("content length %.40q", h.Get("Content-Length"))
	}
	*o = object{size: size, tag: h.Get("Etag"), checksum: h.Get(sent.header), version: h.Get("X-Amz-Version-Id")}
	return nil
}

// id is the name that a finished file goes by beside its key: its version where the bucket keeps versions, else
// its ETag.
func id(version, tag string) string {
	if version != "" && version != "null" {
		return version
	}
	return strings.Trim(tag, `"`)
}
