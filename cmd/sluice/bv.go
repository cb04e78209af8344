package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
)

// bvScheme is a BlendVision One library. It must know the size of a file before its first byte.
func bvScheme() scheme {
	return scheme{
		name:      "bv",
		form:      "bv://NAME",
		about:     "a BlendVision One library; needs the size (put --spool); get bv://ID",
		flags:     []string{flagInfo, flagPatient, flagBVType, flagBVSource, flagPlainHTTP},
		commands:  []string{"get", "verify", "stat"},
		variables: []string{"BV_API_TOKEN", bvTokenFile, "BV_ORG_ID", "BV_ENDPOINT"},
		secrets:   []string{"BV_API_TOKEN"},
		open:      openBV,
	}
}

func openBV(_ context.Context, rest string, asked opening) (*destination, error) {
	credentials, err := bvCredentials()
	if err != nil {
		return nil, usageError{err}
	}
	o := &blendvisionbackend.Options{
		Endpoint: os.Getenv("BV_ENDPOINT"), Logger: asked.log, Transport: asked.transport, Retry: asked.retry(),
		AllowPlainHTTP: asked.flags.plainHTTP,
	}
	if os.Getenv(bvTokenFile) != "" {
		o.Renew = func(context.Context) (blendvisionbackend.Credentials, error) { return bvCredentials() }
	}
	b, err := blendvisionbackend.New(credentials, o)
	if err != nil {
		return nil, usageError{err}
	}
	b = b.With(blendvisionbackend.FileOptions{Type: asked.flags.bvType, Source: asked.flags.bvSource})
	return &destination{backend: b, name: rest, source: library{b}}, nil
}

// bvTokenFile names a file that holds the token, where a supervisor puts it and
// replaces it.
const bvTokenFile = "BV_API_TOKEN_FILE"

// bvCredentials are those of the environment, or of the file that it names.
func bvCredentials() (blendvisionbackend.Credentials, error) {
	var none blendvisionbackend.Credentials
	token, err := secret("BV_API_TOKEN", os.Getenv(bvTokenFile))
	if err != nil {
		return none, err
	}
	orgID := os.Getenv("BV_ORG_ID")
	if token == "" || orgID == "" || os.Getenv("BV_ENDPOINT") == "" {
		return none, errors.New("bv:// needs the environment variables BV_API_TOKEN (or BV_API_TOKEN_FILE), BV_ORG_ID and BV_ENDPOINT")
	}
	return blendvisionbackend.NewCredentials(token, orgID), nil
}

// library is a source that takes the ID of a file for its name.
type library struct{ *blendvisionbackend.Backend }

// Stat describes the file of an ID: the service finds files by nothing else.
func (l library) Stat(ctx context.Context, id string) (sluice.StoredFile, error) {
	f, err := l.Backend.Stat(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; bv:// finds files by their ID, which the upload printed, not by their names", err)
	}
	return f, err
}
