package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/c1508ce4/sluice/s3backend"
)

// s3Scheme is Amazon S3, or what speaks its API.
func s3Scheme() scheme {
	return scheme{
		name:  "s3",
		form:  "s3://BUCKET/NAME",
		about: "Amazon S3, or a store that speaks its API",
		flags: []string{
			flagContentType, flagInfo, flagResume, flagResumeID, flagPatient, flagEndpoint, flagPathStyle,
			flagCacheControl, flagContentDisposition, flagContentLanguage, flagContentEncoding,
		},
		commands: []string{commandGet, commandUnfinished, commandCancel},
		open:     openS3,
	}
}

// openS3 takes the name as it is, with nothing in it escaped.
func openS3(ctx context.Context, rest string, asked opening) (*destination, error) {
	bucket, name, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return nil, usageError{fmt.Errorf("DEST s3://%s names no bucket; it is s3://BUCKET/NAME", rest)}
	}
	o := &s3backend.Options{
		Endpoint: asked.flags.endpoint, PathStyle: asked.flags.pathStyle, UserAgent: "pipe",
		Logger: asked.log, Transport: asked.carrier(), Retry: asked.retry(),
	}
	b, err := s3backend.New(ctx, bucket, o)
	if err != nil {
		return nil, usageError{err}
	}
	b = b.With(s3backend.FileOptions{
		CacheControl:       asked.flags.cacheControl,
		ContentDisposition: asked.flags.contentDisposition,
		ContentEncoding:    asked.flags.contentEncoding,
		ContentLanguage:    asked.flags.contentLanguage,
	})
	return &destination{backend: b, name: name, capped: true, get: getS3(b), parts: b.Parts}, nil
}

func getS3(b *s3backend.Backend) func(context.Context, string) (*incoming, error) {
	return func(ctx context.Context, name string) (*incoming, error) {
		d, err := b.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		return &incoming{ReadCloser: d, id: d.ID, size: d.Size, digest: d.Digest.Name}, nil
	}
}
