package s3backend

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Error is an answer of the store other than success.
type Error struct {
	Call      string // "UploadPart"
	Status    int    // of HTTP; 200 where the store began to answer before it knew better
	Code      string // for programs: "SlowDown", "NoSuchBucket"; "" if a gateway answered, or to HeadObject
	Message   string // for people; secrets in it are redacted
	RequestID string // for the store's support
	// RetryAfter is how long the store asked to wait, 0 if it did not.
	RetryAfter time.Duration
}

// Error is "UploadPart: 503 SlowDown: Please reduce your request rate. (request 4442587FB7D0A2F9)".
func (e *Error) Error() string {
	text := exchange.Refusal(e.Call, e.Status, e.Code, e.Message)
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Is matches [sluice.ErrSlowDown] where the store has too much to do: 429 and 503, SlowDown among them. Streams then
// upload fewer parts at once.
func (e *Error) Is(target error) bool { return exchange.SlowDown(target, e.Status) }

// errorAnswer is the XML of an error. What else it carries (the signature, the string that was signed) is not read.
type errorAnswer struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	RequestID string   `xml:"RequestId"`
	Region    string   `xml:"Region"`
	Endpoint  string   `xml:"Endpoint"`
}

// isError tells whether a successful answer carries an error: a store that takes long to assemble a file sends
// status 200 before it knows (S3 API reference, CompleteMultipartUpload: documented).
func isError(body []byte) bool {
	if len(body) == 0 {
		return false
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local == "Error"
		}
	}
}

// readError makes an Error of an answer. body may be anything: a gateway answers HTML.
func readError(name string, resp *http.Response, body []byte, secrets []string) *Error {
	e := &Error{Call: name, Status: resp.StatusCode, RetryAfter: retry.After(resp.Header, time.Now())}
	var said errorAnswer
	if xml.Unmarshal(body, &said) == nil {
		e.Code, e.Message = exchange.Present(said.Code, secrets...), exchange.Present(said.Message, secrets...)
	}
	e.RequestID = exchange.Present(said.RequestID, secrets...)
	if e.RequestID == "" {
		e.RequestID = exchange.Present(resp.Header.Get("X-Amz-Request-Id"), secrets...)
	}
	region := said.Region
	if region == "" {
		region = resp.Header.Get("X-Amz-Bucket-Region")
	}
	if hint := hint(e, resp, exchange.Present(region, secrets...)); hint != "" {
		e.Message = strings.TrimSpace(e.Message + " (" + hint + ")")
	}
	return e
}

// hint says what to do about an error that the store's own words leave unclear.
func hint(e *Error, resp *http.Response, region string) string {
	switch e.Code {
	case "RequestTimeTooSkewed":
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			return fmt.Sprintf("this machine's clock differs from the store's by %v", time.Since(at).Round(time.Second))
		}
		return "set this machine's clock"
	case "SignatureDoesNotMatch", "InvalidAccessKeyId":
		return "check the credentials, and that they belong to this endpoint"
	}
	wrongPlace := e.Status/100 == 3 || e.Code == "AuthorizationHeaderMalformed" || e.Code == "IllegalLocationConstraintException"
	if wrongPlace && region != "" {
		return "the bucket is in region " + region + ": set Options.Region"
	}
	return ""
}
