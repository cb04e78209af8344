package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// playSink is the role of an S3 store that takes every upload, over TLS, and
// drops it: it checks neither signatures nor digests, though it confirms them,
// so that it costs as little as a server can.
func playSink(context.Context, json.RawMessage) (any, error) {
	server := httptest.NewTLSServer(http.HandlerFunc(sink))
	defer server.Close()
	a := lab.Address{URL: server.URL, KeyID: "key", Key: "secret", Bucket: "bucket"}
	a.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return nil, a.Announce()
}

// sink answers what a multipart upload asks for.
func sink(w http.ResponseWriter, r *http.Request) {
	const tag = "00000000000000000000000000000000"
	q := r.URL.Query()
	var kept bytes.Buffer
	var to io.Writer = io.Discard
	if q.Has("uploadId") && r.Method == http.MethodPost {
		to = &kept // the list of parts, whose number the answer tells
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, r.Body, make([]byte, 256<<10)); err != nil {
		return
	}
	for name, values := range r.Header { // as S3 confirms what it computes
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			w.Header()[name] = values
		}
	}
	switch {
	case r.Method == http.MethodPut:
		w.Header().Set("ETag", `"`+tag+`"`)
	case r.Method == http.MethodPost && q.Has("uploads"):
		fmt.Fprint(w, `<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>key</Key><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		parts := bytes.Count(kept.Bytes(), []byte("<PartNumber>"))
		whole := md5.Sum(make([]byte, parts*md5.Size)) // as S3 makes it of the parts' tags
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>key</Key><ETag>"%x-%d"</ETag></CompleteMultipartUploadResult>`, whole, parts)
	default:
		http.Error(w, "not an upload", http.StatusNotImplemented)
	}
}
