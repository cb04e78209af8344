package main

import (
	"context"
	"errors"
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
			flagContentType, flagInfo, flagResume, flagResumeID, flagRestart, flagPatient, flagEndpoint, flagPathStyle,
			flagCacheControl, flagContentDisposition, flagContentLanguage, flagContentEncoding, flagSSE, flagSSEKeyFile, flagSSEKMSKey,
			flagStorageClass, flagTag, flagRetention, flagLegalHold, flagCreateOnly, flagVerifyOptions, flagTrustOption, flagRegion,
			flagChecksum, flagPlainHTTP, flagEqualParts, flagOpaqueETags, flagMaxParts, flagMaxFile, flagOmitSluiceID,
		},
		commands: allCommands,
		variables: []string{
			"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_S3",
			"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "S3_SSE_C_KEY",
		},
		secrets: []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "S3_SSE_C_KEY"},
		open:    openS3,
	}
}

// openS3 takes the name as it is, with nothing in it escaped.
func openS3(ctx context.Context, rest string, asked opening) (*destination, error) {
	bucket, name, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return nil, usageError{fmt.Errorf("DEST s3://%s names no bucket; it is s3://BUCKET/NAME", rest)}
	}
	o := &s3backend.Options{
		Endpoint: asked.flags.endpoint, PathStyle: asked.flags.pathStyle, UserAgent: "sluice",
		Region: asked.flags.region, AllowPlainHTTP: asked.flags.plainHTTP, Checksum: s3backend.Checksum(strings.TrimPrefix(asked.flags.checksum, "auto")),
		MaxParts: asked.flags.maxParts, MaxFile: asked.flags.maxFile, EqualParts: asked.flags.equalParts, OpaqueETags: asked.flags.ownETag,
		Logger: asked.log, Transport: asked.transport, Retry: asked.retry(),
	}
	file, err := s3FileOptions(asked.flags)
	if err != nil {
		return nil, usageError{err}
	}
	b, err := s3backend.New(ctx, bucket, o)
	if err != nil {
		return nil, usageError{err}
	}
	b = b.With(file)
	return &destination{backend: b, name: name, source: b, remove: b.Remove, look: b.Look, parts: b.Parts}, nil
}

// s3FileOptions are what the flags say of the file.
func s3FileOptions(f *storeFlags) (s3backend.FileOptions, error) {
	o := s3backend.FileOptions{
		CacheControl:       f.cacheControl,
		ContentDisposition: f.contentDisposition,
		ContentEncoding:    f.contentEncoding,
		ContentLanguage:    f.contentLanguage,
		StorageClass:       f.storageClass,
		Tags:               f.tags,
		Retention:          s3backend.Retention{Mode: s3backend.RetentionMode(f.retentionMode), Until: f.retentionUntil},
		LegalHold:          s3backend.LegalHold(f.legalHold),
		CreateOnly:         f.createOnly,
		Verify:             f.verified,
		Unverified:         f.trusted,
		OmitSluiceID:       f.omitSluiceID,
	}
	var err error
	switch f.sse {
	case "s3":
		o.Encryption = s3backend.EncryptS3()
	case "kms":
		o.Encryption = s3backend.EncryptKMS(f.sseKMSKey)
	case "c":
		var key []byte
		if key, err = customerKey("S3_SSE_C_KEY", f.sseKeyFile); err == nil {
			o.Encryption, err = s3backend.EncryptCustomer(key)
		}
	case "b2":
		err = errors.New("s3:// cannot honour --sse b2; its own key is --sse s3")
	}
	return o, err
}
