package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/c1508ce4/sluice/b2backend"
)

// b2Scheme is Backblaze B2, or what speaks its native API.
func b2Scheme() scheme {
	return scheme{
		name:  "b2",
		form:  "b2://BUCKET/NAME",
		about: "Backblaze B2; see ENVIRONMENT",
		flags: []string{
			flagContentType, flagInfo, flagResume, flagResumeID, flagPatient, flagLastModified, flagExpires, flagCacheControl, flagContentDisposition,
			flagContentLanguage, flagContentEncoding, flagLargeFileSHA1, flagSSE, flagSSEKeyFile, flagRetention, flagLegalHold,
		},
		commands: []string{commandGet, commandUnfinished, commandCancel},
		open:     openB2,
	}
}

func openB2(ctx context.Context, rest string, o opening) (*destination, error) {
	bucket, name, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return nil, usageError{fmt.Errorf("DEST b2://%s names no bucket; it is b2://BUCKET/NAME", rest)}
	}
	credentials, err := b2Credentials()
	if err != nil {
		return nil, usageError{err}
	}
	options, err := b2FileOptions(o.flags)
	if err != nil {
		return nil, usageError{err}
	}
	b, err := b2backend.New(ctx, credentials, bucket, b2Access(o))
	if err != nil {
		return nil, err
	}
	b = b.With(options)
	return &destination{backend: b, name: name, capped: true, get: getB2(b), parts: b.Parts}, nil
}

func getB2(b *b2backend.Backend) func(context.Context, string) (*incoming, error) {
	return func(ctx context.Context, name string) (*incoming, error) {
		d, err := b.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		in := &incoming{ReadCloser: d, id: d.ID, size: d.Size}
		if d.SHA1 != nil {
			in.digest = "sha1"
		}
		return in, nil
	}
}

// b2Access is how the store is reached.
func b2Access(o opening) *b2backend.Options {
	return &b2backend.Options{
		Endpoint: os.Getenv("B2_ENDPOINT"), UserAgent: "pipe", Logger: o.log, Transport: o.carrier(), Retry: o.retry(),
	}
}

// b2Credentials are those of the environment. The key may be in a file, where a supervisor puts it.
func b2Credentials() (b2backend.Credentials, error) {
	c := b2backend.Credentials{KeyID: os.Getenv("B2_APPLICATION_KEY_ID")}
	var err error
	if c.Key, err = secret("B2_APPLICATION_KEY", os.Getenv("B2_APPLICATION_KEY_FILE")); err != nil {
		return c, err
	}
	switch {
	case c.KeyID == "":
		return c, errors.New("b2:// needs the environment variable B2_APPLICATION_KEY_ID")
	case c.Key == "":
		return c, errors.New("b2:// needs the environment variable B2_APPLICATION_KEY, or B2_APPLICATION_KEY_FILE with the name of a file that holds it")
	}
	return c, nil
}

// secret is what the file holds, without the end of its line, or else the environment variable.
func secret(variable, file string) (string, error) {
	if file == "" {
		return os.Getenv(variable), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// b2FileOptions are what the flags say of the file.
func b2FileOptions(f *storeFlags) (b2backend.FileOptions, error) {
	o := b2backend.FileOptions{
		LastModified:       f.lastModified,
		LargeFileSHA1:      f.largeFileSHA1,
		ContentDisposition: f.contentDisposition,
		ContentLanguage:    f.contentLanguage,
		ContentEncoding:    f.contentEncoding,
		CacheControl:       f.cacheControl,
		Expires:            f.expires,
		Retention:          b2backend.Retention{Mode: f.retentionMode, Until: f.retentionUntil},
		LegalHold:          b2backend.LegalHold(f.legalHold),
	}
	var err error
	switch f.sse {
	case "b2":
		o.Encryption = b2backend.EncryptB2()
	case "c":
		var key []byte
		if key, err = customerKey("B2_SSE_C_KEY", f.sseKeyFile); err == nil {
			o.Encryption, err = b2backend.EncryptCustomer(key)
		}
	case "s3":
		err = errors.New("b2:// cannot honour -sse s3; its own key is -sse b2")
	}
	return o, err
}

// customerKey reads the key of -sse c, which is in base64, in a file or in the environment. The error does not
// show it.
func customerKey(variable, file string) ([]byte, error) {
	text, err := secret(variable, file)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("-sse c needs a key, in the environment variable " + variable + " or in the file of -sse-key-file")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, errors.New("the key of -sse c must be 32 bytes in base64; head -c 32 /dev/urandom | base64 makes one")
	}
	return key, nil
}
