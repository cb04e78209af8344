package blendvisionbackend

import (
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice/internal/decode"
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
		ID         string            `json:"id"`
		Type       string            `json:"type"`
		Source     string            `json:"source"`
		Attrs      map[string]string `json:"attrs"`
		Size       integer           `json:"size"`
		UploadData *uploadData       `json:"upload_data"` // here on one documentation page
	} `json:"file"`
	UploadData *uploadData `json:"upload_data"`
}

// IDs are checked where the answer is decoded; see package decode.
func (a *fileAnswer) IDs() []string {
	ids := []string{a.File.ID}
	for _, data := range []*uploadData{a.UploadData, a.File.UploadData} {
		if data != nil {
			ids = append(ids, data.ID)
		}
	}
	return ids
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

// integer is an int64, which the proto3 JSON mapping writes as a string and
// reads as a string or a number.
type integer int64

func (n integer) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatInt(int64(n), 10) + `"`), nil
}

func (n *integer) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(text) > 1 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) {
		text = text[1 : len(text)-1]
	}
	return (*decode.Number)(n).UnmarshalJSON([]byte(text))
}
