package blendvisionbackend

import (
	"errors"
	"strconv"
	"strings"
)

// The documented requests and answers, as far as they are used.

type openRequest struct {
	File openFile `json:"file"`
}

type openFile struct {
	Type   string            `json:"type"`
	Source string            `json:"source"`
	Name   string            `json:"name"`
	Size   integer           `json:"size"`
	Attrs  map[string]string `json:"attrs,omitempty"`
}

type fileAnswer struct {
	File struct {
		ID         string      `json:"id"`
		UploadData *uploadData `json:"upload_data"` // here on one documentation page
	} `json:"file"`
	UploadData *uploadData `json:"upload_data"`
}

type uploadData struct {
	ID    string `json:"id"`
	Parts []struct {
		Number integer `json:"part_number"`
		URL    string  `json:"presigned_url"`
	} `json:"parts"`
}

type completeRequest struct {
	Data completeData `json:"complete_data"`
}

type completeData struct {
	ID       string          `json:"id"`
	Checksum []byte          `json:"checksum_sha1"` // travels in base64
	Parts    []completedPart `json:"parts"`
}

type completedPart struct {
	Number int64  `json:"part_number"` // a number in the documented example
	ETag   string `json:"etag"`
}

type cancelRequest struct {
	UploadID string `json:"upload_id"`
}

type downloadAnswer struct {
	ID       string `json:"id"`
	URI      string `json:"download_uri"`
	Filename string `json:"download_filename"`
}

// integer is an int64, which the proto3 JSON mapping writes as a string and reads as a string or a number.
type integer int64

func (n integer) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatInt(int64(n), 10) + `"`), nil
}

func (n *integer) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(text) > 1 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) {
		text = text[1 : len(text)-1]
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errors.New("not an integer of 64 bits") // the text is the server's, and may be anything
	}
	*n = integer(v)
	return nil
}
