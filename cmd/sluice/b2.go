package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/c1508ce4/sluice/b2backend"
)

// b2Scheme is Backblaze B2, or what speaks its native API.
func b2Scheme() scheme {
	return scheme{
		name:  "b2",
		form:  "b2://BUCKET/NAME",
		about: "Backblaze B2",
		flags: []string{
			flagContentType, flagInfo, flagResume, flagResumeID, flagRestart, flagPatient, flagLastModified, flagExpires, flagCacheControl, flagContentDisposition,
			flagContentLanguage, flagContentEncoding, flagLargeFileSHA1, flagSSE, flagSSEKeyFile, flagRetention, flagLegalHold, flagPlainHTTP,
			flagUploadTimestamp, flagDomain, flagOmitSluiceID,
		},
		commands: allCommands,
		variables: []string{
			"B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY", b2KeyIDFile, b2KeyFile, "B2_ENDPOINT", "B2_SSE_C_KEY",
		},
		secrets: []string{"B2_APPLICATION_KEY", "B2_SSE_C_KEY"},
		open:    openB2,
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
	return &destination{backend: b, name: name, source: b, remove: b.Remove, parts: b.Parts}, nil
}

// b2Access is how the store is reached.
func b2Access(o opening) *b2backend.Options {
	options := &b2backend.Options{
		Endpoint: os.Getenv("B2_ENDPOINT"), UserAgent: "sluice", Logger: o.log, Transport: o.transport, Retry: o.retry(),
		AllowPlainHTTP: o.flags.plainHTTP, Domains: o.flags.domains,
	}
	if os.Getenv(b2KeyIDFile) != "" || os.Getenv(b2KeyFile) != "" {
		options.Renew = func(context.Context) (b2backend.Credentials, error) { return b2Credentials() }
	}
	return options
}

// Files that hold the application key, where a supervisor puts it and replaces it.
const (
	b2KeyIDFile = "B2_APPLICATION_KEY_ID_FILE"
	b2KeyFile   = "B2_APPLICATION_KEY_FILE"
)

// b2Credentials are those of the environment, or of the files that it names.
func b2Credentials() (b2backend.Credentials, error) {
	var none b2backend.Credentials
	keyID, err := secret("B2_APPLICATION_KEY_ID", os.Getenv(b2KeyIDFile))
	if err != nil {
		return none, err
	}
	key, err := secret("B2_APPLICATION_KEY", os.Getenv(b2KeyFile))
	switch {
	case err != nil:
		return none, err
	case keyID == "":
		return none, errors.New("b2:// needs the environment variable B2_APPLICATION_KEY_ID, or " + b2KeyIDFile + " with the name of a file that holds it")
	case key == "":
		return none, errors.New("b2:// needs the environment variable B2_APPLICATION_KEY, or " + b2KeyFile + " with the name of a file that holds it")
	}
	return b2backend.NewCredentials(keyID, key), nil
}

// maxSecret is the longest secret, in bytes.
const maxSecret = 64 << 10

// secret is what the file holds, without the end of its line, or else the environment variable.
func secret(variable, file string) (string, error) {
	if file == "" {
		return os.Getenv(variable), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("%s has more than %d bytes, and is no secret", file, maxSecret)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

var isSHA1 = regexp.MustCompile(`^[0-9a-f]{40}$`)

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
		Retention:          b2backend.Retention{Mode: b2backend.RetentionMode(f.retentionMode), Until: f.retentionUntil},
		LegalHold:          b2backend.LegalHold(f.legalHold),
		UploadTimestamp:    f.uploadTimestamp,
		OmitSluiceID:       f.omitSluiceID,
	}
	var err error
	if sum, ok := f.info["large_file_sha1"]; ok && !isSHA1.MatchString(sum) {
		return o, fmt.Errorf("--info large_file_sha1=%s: must be a SHA-1, 40 hexadecimal digits", sum)
	}
	switch f.sse {
	case "b2":
		o.Encryption = b2backend.EncryptB2()
	case "c":
		var key []byte
		if key, err = customerKey("B2_SSE_C_KEY", f.sseKeyFile); err == nil {
			o.Encryption, err = b2backend.EncryptCustomer(key)
		}
	case "s3", "kms":
		err = fmt.Errorf("b2:// cannot honour --sse %s; its own key is --sse b2", f.sse)
	}
	return o, err
}

// customerKey reads the key of --sse c, which is in base64, in a file or in the environment.
// The error does not show it.
func customerKey(variable, file string) ([]byte, error) {
	text, err := secret(variable, file)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("--sse c needs a key, in the environment variable " + variable + " or in the file of --sse-key-file")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, errors.New("the key of --sse c must be 32 bytes in base64; head -c 32 /dev/urandom | base64 makes one")
	}
	return key, nil
}
