package main

import (
	"context"
	"encoding/json"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/engines"
)

// What the contenders upload to. Each runs in a process of its own.
const (
	toB2      = "b2"
	toSink    = "s3"        // an S3 server that drops, over TLS
	toVersity = "versitygw" // a real one that stores in a folder, over plain HTTP
)

// playVersity is the role that runs the real S3 server, until stdin ends. It
// is built if it has not been, which takes minutes.
func playVersity(ctx context.Context, _ json.RawMessage) (any, error) {
	server, err := engines.Start(ctx, engines.Versitygw)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	const bucket = "bucket"
	if err := server.MakeBucket(bucket); err != nil {
		return nil, err
	}
	a := lab.Address{URL: server.URL, KeyID: engines.AccessKey, Key: engines.SecretKey, Bucket: bucket}
	return nil, a.Announce()
}
