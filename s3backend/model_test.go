package s3backend

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// model is a small store, for tests that try thousands of them. It keeps the
// parts of the API that outcomes depend on.
type model struct {
	checksums bool // it tells them
	opaque    bool // its ETags are made of nothing

	mu      sync.Mutex
	objects map[string]*modelObject
	uploads map[string]*modelUpload
	starts  int
}

type modelObject struct {
	data          []byte
	tag, checksum string
	sum           checksum    // that the store keeps, if it keeps any
	header        http.Header // of the request that began it
}

type modelUpload struct {
	key    string
	header http.Header
	parts  map[int][]byte
}

func newModel() *model {
	return &model{objects: map[string]*modelObject{}, uploads: map[string]*modelUpload{}}
}

// clone is the store as it is now.
func (m *model) clone() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newModel()
	c.checksums, c.opaque, c.objects, c.starts = m.checksums, m.opaque, maps.Clone(m.objects), m.starts
	for id, u := range m.uploads {
		c.uploads[id] = &modelUpload{u.key, u.header, maps.Clone(u.parts)}
	}
	return c
}

// object is a finished file, nil if there is none.
func (m *model) object(key string) *modelObject {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[key]
}

// unfinished is the number of uploads.
func (m *model) unfinished() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.uploads)
}

// put stores a file, as one of several parts if there are several.
func (m *model) put(key string, header http.Header, parts ...[]byte) *modelObject {
	whole := bytes.Join(parts, nil)
	sum := announced(header)
	sums, hash := md5.New(), sum.new()
	for _, p := range parts {
		tag := md5.Sum(p)
		sums.Write(tag[:])
		hash.Write(digest(sum, p))
	}
	o := &modelObject{whole, hexTag(md5.Sum(whole)), m.checksum(sum, whole), sum, header}
	if len(parts) > 1 {
		o.tag = fmt.Sprintf(`"%x-%d"`, sums.Sum(nil), len(parts))
		if m.checksums && sum.name != crc64Checksum.name {
			o.checksum = fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(hash.Sum(nil)), len(parts))
		}
	}
	if m.opaque {
		o.tag = `"CIrNm8mQ-1"`
	}
	m.objects[key] = o
	return o
}

func hexTag(sum [md5.Size]byte) string { return `"` + hex.EncodeToString(sum[:]) + `"` }

// announced is the checksum that a request has, or that it says the parts will
// have: CRC64NVME unless it is another one.
func announced(h http.Header) checksum {
	for _, c := range kept {
		if h.Get(c.header) != "" || strings.EqualFold(h.Get("X-Amz-Checksum-Algorithm"), c.name) {
			return c
		}
	}
	return crc64Checksum
}

func digest(c checksum, data []byte) []byte {
	h := c.new()
	h.Write(data)
	return h.Sum(nil)
}

// checksum is the one of a part or of a file in one, "" if the store tells none.
func (m *model) checksum(c checksum, data []byte) string {
	if !m.checksums {
		return ""
	}
	return base64.StdEncoding.EncodeToString(digest(c, data))
}

// partTag is the ETag of a part.
func (m *model) partTag(data []byte) string {
	if m.opaque {
		return fmt.Sprintf(`"part of %d"`, len(data))
	}
	return hexTag(md5.Sum(data))
}

func (m *model) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answer(req, body), nil
}

func (m *model) answer(req *http.Request, body []byte) *http.Response {
	key := strings.TrimPrefix(req.URL.Path, "/")
	id := req.URL.Query().Get("uploadId")
	u := m.uploads[id]
	switch call := callOf(req); call {
	case "CreateMultipartUpload":
		m.starts++
		id := fmt.Sprintf("u%d", m.starts)
		m.uploads[id] = &modelUpload{key, req.Header, map[int][]byte{}}
		resp := response(200, "<InitiateMultipartUploadResult><UploadId>"+id+"</UploadId></InitiateMultipartUploadResult>")
		if m.checksums {
			resp.Header.Set("X-Amz-Checksum-Algorithm", req.Header.Get("X-Amz-Checksum-Algorithm"))
		}
		return resp
	case "PutObject":
		if req.Header.Get("If-None-Match") != "" && m.objects[key] != nil {
			return modelError(req, 412, "PreconditionFailed")
		}
		return m.put(key, req.Header, body).answer("")
	case "HeadObject":
		if o := m.objects[key]; o != nil {
			return o.answer("")
		}
		return modelError(req, 404, "NoSuchKey")
	case "GetObject":
		if o := m.objects[key]; o != nil && !req.URL.Query().Has("attributes") {
			return o.read(req)
		}
		return modelError(req, 404, "NoSuchKey")
	case "ListMultipartUploads":
		var text strings.Builder
		text.WriteString("<ListMultipartUploadsResult>")
		for _, id := range slices.Sorted(maps.Keys(m.uploads)) {
			text.WriteString("<Upload><Key>" + m.uploads[id].key + "</Key><UploadId>" + id + "</UploadId></Upload>")
		}
		return response(200, text.String()+"</ListMultipartUploadsResult>")
	default:
		if u == nil || u.key != key {
			return modelError(req, 404, "NoSuchUpload")
		}
		return m.answerUpload(req, call, id, u, body)
	}
}

func (m *model) answerUpload(req *http.Request, call, id string, u *modelUpload, body []byte) *http.Response {
	switch call {
	case "UploadPart":
		number, _ := strconv.Atoi(req.URL.Query().Get("partNumber"))
		u.parts[number] = body
		sum := announced(u.header)
		return response(200, "", "Etag", m.partTag(body), sum.header, m.checksum(sum, body))
	case "AbortMultipartUpload":
		delete(m.uploads, id)
		return response(204, "")
	case "ListParts":
		var text strings.Builder
		text.WriteString("<ListPartsResult>")
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			sum := announced(u.header)
			fmt.Fprintf(&text, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size>%s</Part>",
				n, m.partTag(u.parts[n]), len(u.parts[n]), sum.element(m.checksum(sum, u.parts[n])))
		}
		return response(200, text.String()+"</ListPartsResult>")
	default: // CompleteMultipartUpload
		var request completeRequest
		if xml.Unmarshal(body, &request) != nil {
			return modelError(req, 400, "MalformedXML")
		}
		if req.Header.Get("If-None-Match") != "" && m.objects[u.key] != nil {
			return modelError(req, 412, "PreconditionFailed")
		}
		var parts [][]byte
		for _, p := range request.Parts {
			data, ok := u.parts[p.PartNumber]
			if !ok || p.ETag != m.partTag(data) {
				return modelError(req, 400, "InvalidPart")
			}
			parts = append(parts, data)
		}
		delete(m.uploads, id)
		o := m.put(u.key, u.header, parts...)
		return o.completed()
	}
}

// completed is the answer to the finish of the file.
func (o *modelObject) completed() *http.Response {
	return o.answer("<CompleteMultipartUploadResult><ETag>" + o.tag + "</ETag>" + o.sum.element(o.checksum) + "</CompleteMultipartUploadResult>")
}

// read is the answer to a download of the file or of a range of it.
func (o *modelObject) read(req *http.Request) *http.Response {
	data, status := o.data, 200
	var from, to int
	if n, _ := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-%d", &from, &to); n > 0 {
		if n == 1 {
			to = len(o.data) - 1
		}
		data, status = o.data[from:to+1], 206
	}
	resp := o.answer(string(data))
	resp.StatusCode = status
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	if status == 206 {
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(o.data)))
	}
	return resp
}

// element has a checksum in an answer.
func (c checksum) element(text string) string {
	name := "Checksum" + strings.ToUpper(c.name)
	return "<" + name + ">" + text + "</" + name + ">"
}

// answer is a success about the file.
func (o *modelObject) answer(body string) *http.Response {
	resp := response(200, body, "Etag", o.tag, o.sum.header, o.checksum, "Content-Length", strconv.Itoa(len(o.data)))
	for name, values := range o.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			resp.Header[name] = values
		}
	}
	return resp
}

// modelError is a store's own error, which has no body in the answer to a HEAD.
func modelError(req *http.Request, status int, code string) *http.Response {
	if req.Method == http.MethodHead {
		return response(status, "")
	}
	return response(status, fmt.Sprintf(xmlError, code))
}
