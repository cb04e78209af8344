package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// playSink is the role of an S3 store that takes every upload, over TLS, and drops it: it checks neither signatures
// nor digests, so that it costs as little as a server can.
func playSink(context.Context, json.RawMessage) (any, error) {
	server := httptest.NewTLSServer(http.HandlerFunc(sink))
	defer server.Close()
	a := lab.Address{URL: server.URL, KeyID: "key", Key: "secret", Bucket: "bucket"}
	a.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return nil, a.Announce()
}

// sink answers what a multipart upload asks for.
func sink(w http.ResponseWriter, r *http.Request) {
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10)); err != nil {
		return
	}
	const tag = `"00000000000000000000000000000000-1"`
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPut:
		w.Header().Set("ETag", tag)
	case r.Method == http.MethodPost && q.Has("uploads"):
		fmt.Fprint(w, `<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>key</Key><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>key</Key><ETag>%s</ETag></CompleteMultipartUploadResult>`, tag)
	default:
		http.Error(w, "not an upload", http.StatusNotImplemented)
	}
}
