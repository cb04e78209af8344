package bvtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// The enumerations are documented.
var (
	fileTypes = []string{
		"FILE_TYPE_VIDEO", "FILE_TYPE_IMAGE", "FILE_TYPE_SUBTITLE", "FILE_TYPE_DOCUMENT",
		"FILE_TYPE_WEB_LINK", "FILE_TYPE_AUDIO",
	}
	fileSources = []string{
		"FILE_SOURCE_UPLOAD_IN_LIBRARY", "FILE_SOURCE_ADD_VOD", "FILE_SOURCE_ADD_AOD", "FILE_SOURCE_LIVE_EVENT",
		"FILE_SOURCE_CLOUD_STORAGE_AWS", "FILE_SOURCE_STT", "FILE_SOURCE_AISK", "FILE_SOURCE_GOOGLE_DRIVE",
	}
)

// fileView is a file in answers.
type fileView struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Size       any               `json:"size"`
	URI        string            `json:"uri"`
	Source     string            `json:"source"`
	Attrs      map[string]string `json:"attrs"`
	CreatedAt  string            `json:"created_at"`
	UpdatedAt  string            `json:"updated_at"`
	UploadData *uploadView       `json:"upload_data,omitempty"`
}

type uploadView struct {
	ID    string     `json:"id"`
	Parts []partView `json:"parts"`
}

type partView struct {
	Number any    `json:"part_number"`
	URL    string `json:"presigned_url"`
}

type fileAnswer struct {
	File       fileView    `json:"file"`
	UploadData *uploadView `json:"upload_data,omitempty"`
}

// view shows the file of a session; the lock is held.
func (s *Server) view(v *session) fileView {
	view := fileView{
		ID: v.FileID, Type: v.Type, Name: v.Name, Size: strconv.FormatInt(v.Size, 10),
		URI: "library/" + v.FileID, Source: v.Source, Attrs: maps.Clone(v.Attrs),
		CreatedAt: v.Opened.UTC().Format(time.RFC3339), UpdatedAt: s.Now().UTC().Format(time.RFC3339),
	}
	if view.Attrs == nil {
		view.Attrs = map[string]string{}
	}
	if s.opts.SwapInt64 {
		view.Size = v.Size
	}
	return view
}

// open begins an upload session. The lock is held, as in the calls below.
func (s *Server) open(body []byte) (any, *session, error) {
	var q struct {
		File struct {
			Type   string            `json:"type"`
			Source string            `json:"source"`
			Name   string            `json:"name"`
			Size   int64Value        `json:"size"`
			Attrs  map[string]string `json:"attrs"`
		} `json:"file"`
	}
	if err := decode(body, &q); err != nil {
		return nil, nil, err
	}
	switch f := &q.File; {
	case !slices.Contains(fileSources, f.Source):
		return nil, nil, errInvalid("source %q is not a file source", f.Source)
	case f.Type != "" && !slices.Contains(fileTypes, f.Type):
		// assumed: only source is documented as required
		return nil, nil, errInvalid("type %q is not a file type", f.Type)
	case f.Name == "" || !utf8.ValidString(f.Name):
		return nil, nil, errInvalid("name %q is empty or not UTF-8", f.Name)
	case f.Size < 1 || f.Size > maxFile: // assumed: that an empty file is refused
		return nil, nil, errInvalid("size %d is not within 1 and %d", f.Size, int64(maxFile))
	}
	v := &session{Session: Session{
		FileID: randomHex(16), UploadID: randomHex(16), Name: q.File.Name, Type: q.File.Type, Source: q.File.Source,
		Size: int64(q.File.Size), Attrs: q.File.Attrs, State: Open, Opened: s.Now(),
	}}
	s.forget(v)
	upload := &uploadView{ID: v.UploadID, Parts: []partView{}}
	for i, number := range s.opts.Numbers(v.Size) {
		v.Parts = append(v.Parts, StoredPart{Number: number})
		view := partView{Number: number, URL: s.sign(http.MethodPut, partPath(v, i+1), strconv.Itoa(number))}
		if s.opts.SwapInt64 {
			view.Number = strconv.Itoa(number)
		}
		upload.Parts = append(upload.Parts, view)
	}
	v.contents = make([][]byte, len(v.Parts))
	s.sessions = append(s.sessions, v)
	answer := fileAnswer{File: s.view(v), UploadData: upload}
	if s.opts.NestUploadData {
		answer.File.UploadData, answer.UploadData = upload, nil
	}
	return answer, v, nil
}

// forget replaces the options of a new file that the server ignores by others.
func (s *Server) forget(v *session) {
	another := func(list []string, asked string) string {
		return list[slices.IndexFunc(list, func(value string) bool { return value != asked })]
	}
	for _, name := range s.opts.Ignore {
		switch name {
		case "type":
			v.Type = another(fileTypes, v.Type)
		case "source":
			v.Source = another(fileSources, v.Source)
		case "attrs":
			v.Attrs = nil
		}
	}
}

// complete makes the file of a session. A refusal leaves the session open (assumed).
func (s *Server) complete(v *session, body []byte) (any, error) {
	var q struct {
		Data struct {
			ID       string `json:"id"`
			Checksum string `json:"checksum_sha1"`
			Parts    []struct {
				Number int64Value `json:"part_number"`
				ETag   string     `json:"etag"`
			} `json:"parts"`
		} `json:"complete_data"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if q.Data.ID != v.UploadID {
		return nil, errInvalid("complete_data.id %q is not the session's", q.Data.ID)
	}
	switch {
	case v.State == Cancelled:
		s.violate("%s of a session that is %s", CallComplete, v.State)
		return nil, errState(v)
	case v.State == Completed && v.uncertain:
		return nil, errState(v)
	case v.State == Completed:
		return nil, &lateError{errState(v), fmt.Sprintf("%s of a session that is %s", CallComplete, v.State)}
	}
	if len(q.Data.Parts) != len(v.Parts) {
		return nil, errInvalid("%d parts in place of %d", len(q.Data.Parts), len(v.Parts))
	}
	var total int64
	for i, part := range q.Data.Parts {
		stored := v.Parts[i]
		switch {
		case int(part.Number) != stored.Number: // assumed: the order of the plan
			return nil, errInvalid("parts[%d].part_number is %d in place of %d", i, part.Number, stored.Number)
		case stored.ETag == "":
			return nil, errInvalid("part %d has not arrived", stored.Number)
		case part.ETag != stored.ETag:
			return nil, errInvalid("parts[%d].etag is %q in place of %q", i, part.ETag, stored.ETag)
		case stored.Size < s.opts.MinPart && i < len(v.Parts)-1:
			return nil, errInvalid("part %d has %d bytes, fewer than %d", stored.Number, stored.Size, s.opts.MinPart)
		}
		total += stored.Size
	}
	if total != v.Size {
		return nil, errInvalid("the parts have %d bytes, the declared size is %d", total, v.Size)
	}
	sum, err := base64.StdEncoding.DecodeString(q.Data.Checksum)
	if err != nil || !bytes.Equal(sum, v.sum()) {
		return nil, errInvalid("checksum_sha1 %q is not that of the content", q.Data.Checksum)
	}
	v.State, v.finished = Completed, s.Now()
	return fileAnswer{File: s.view(v)}, nil
}

// cancel ends a session.
func (s *Server) cancel(v *session, body []byte) (any, error) {
	var q struct {
		UploadID string `json:"upload_id"`
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if q.UploadID != v.UploadID {
		return nil, errInvalid("upload_id %q is not the session's", q.UploadID)
	}
	switch v.State {
	case Completed:
		s.violate("%s of a session that is %s", CallCancel, v.State)
		return nil, errState(v)
	case Cancelled:
		return nil, errNotFound("upload session") // assumed
	}
	v.State = Cancelled
	v.contents = make([][]byte, len(v.Parts))
	return json.RawMessage("{}"), nil
}

// download says where a file can be read. A file that is not complete has no such place (assumed).
func (s *Server) download(v *session, body []byte) (any, error) {
	var q struct{}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if v.State != Completed {
		return nil, errNotFound("file")
	}
	return struct {
		ID         string `json:"id"`
		URI        string `json:"download_uri"`
		Filename   string `json:"download_filename"`
		Expiration string `json:"expiration_time"`
	}{
		v.FileID, s.sign(http.MethodGet, partPath(v, 0), ""), v.Name,
		s.Now().Add(s.opts.URLLife).UTC().Format(time.RFC3339),
	}, nil
}

// partPath is where the object store takes a part, by its place in the plan; 0 is the whole file.
func partPath(v *session, place int) string {
	return fmt.Sprintf("/library/%s/%s/%d", v.FileID, v.UploadID, place)
}
