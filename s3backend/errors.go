package s3backend

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Error is an answer of the store other than success.
type Error struct {
	Call   string // "UploadPart"
	Status int    // of HTTP; 200 where the store began to answer before it knew better
	// for programs: "SlowDown", "NoSuchBucket"; "" if a gateway answered, or to
	// HeadObject
	Code      string
	Message   string // for people; secrets in it are redacted
	RequestID string // for the store's support
	// RetryAfter is how long the store asked to wait, 0 if it did not.
	RetryAfter time.Duration

	date time.Time // of the answer, zero if it tells none
}

// Error is "UploadPart: 503 SlowDown: Please reduce your request rate. (request 4442587FB7D0A2F9)".
func (e *Error) Error() string {
	text := httpx.Refusal(e.Call, e.Status, e.Code, e.Message)
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Is matches [sluice.ErrSlowDown] where the store has too much to do: 429 and
// 503, SlowDown among them. Streams then upload fewer parts at once.
func (e *Error) Is(target error) bool { return httpx.SlowDown(target, e.Status) }

// errorAnswer is the XML of an error. What else it carries (the signature, the
// string that was signed) is not read.
type errorAnswer struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	RequestID string   `xml:"RequestId"`
	Region    string   `xml:"Region"`
	Endpoint  string   `xml:"Endpoint"`
}

// readError makes an Error of an answer. body may be anything: a gateway answers HTML.
func readError(name string, resp *http.Response, body io.Reader, secrets []string) *Error {
	e := &Error{Call: name, Status: resp.StatusCode, RetryAfter: retry.After(resp.Header, time.Now())}
	e.date, _ = http.ParseTime(resp.Header.Get("Date"))
	var said errorAnswer
	if decode.XML(body, &said, decode.Refusal) == nil {
		e.Code, e.Message = httpx.Present(said.Code, secrets...), httpx.Present(said.Message, secrets...)
	}
	e.RequestID = httpx.Present(said.RequestID, secrets...)
	if e.RequestID == "" {
		e.RequestID = httpx.Present(resp.Header.Get("X-Amz-Request-Id"), secrets...)
	}
	place := place{
		region:   httpx.Present(cmp.Or(said.Region, resp.Header.Get("X-Amz-Bucket-Region")), secrets...),
		endpoint: httpx.Present(said.Endpoint, secrets...),
	}
	if to, err := resp.Location(); err == nil && place.endpoint == "" {
		place.endpoint = httpx.Present(to.Scheme+"://"+to.Host, secrets...)
	}
	if hint := hint(e, place); hint != "" {
		e.Message = strings.TrimSpace(e.Message + " (" + hint + ")")
	}
	return e
}

// place is where an answer says that the bucket is. Either may be empty.
type place struct{ region, endpoint string }

// hint says what to do about an error that the store's own words leave unclear.
func hint(e *Error, bucket place) string {
	switch e.Code {
	case "RequestTimeTooSkewed":
		off := time.Since(e.date)
		switch {
		case e.date.IsZero():
			return "set this machine's clock"
		case off.Abs() < slowRequest:
			return "this machine's clock is right: the request took too long to arrive"
		default:
			return fmt.Sprintf("this machine's clock differs from the store's by %v", off.Round(time.Second))
		}
	case "SignatureDoesNotMatch", "InvalidAccessKeyId", "XAdminUserNotFound":
		// the last is versitygw's
		return "check the credentials, and that they belong to this endpoint"
	}
	wrongRegion := e.Code == "AuthorizationHeaderMalformed" || e.Code == "IllegalLocationConstraintException" ||
		e.Status == http.StatusBadRequest && e.Code == "" // to HEAD
	switch redirected := e.Status/100 == 3; {
	case (redirected || wrongRegion) && bucket.region != "":
		return "the bucket is in region " + bucket.region + ": set Options.Region"
	case redirected && bucket.endpoint != "":
		return "the bucket is served by " + bucket.endpoint + ": set Options.Endpoint"
	case redirected:
		return "the bucket is served elsewhere: set Options.Endpoint"
	case wrongRegion && e.Code != "":
		return "set Options.Region to the region of the bucket"
	}
	return ""
}

// named returns a failure with the options of the file that the call has asked for, if the failure
// is one by which stores answer what they do not implement.
func named(k *call, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusInternalServerError && e.Status != http.StatusNotImplemented {
		return err
	}
	var asked []string
	for _, p := range promises {
		if option := "FileOptions." + p.option; k.header.Get(p.header) != "" && p.unusual() && !slices.Contains(asked, option) {
			asked = append(asked, option)
		}
	}
	if k.header.Get("If-None-Match") != "" {
		asked = append(asked, "FileOptions."+createOnly)
	}
	if len(asked) == 0 {
		return err
	}
	return fmt.Errorf("%w (the store may not implement %s)", err, strings.Join(asked, ", "))
}
