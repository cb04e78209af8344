package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/c1508ce4/sluice/blendvisionbackend"
)

// bvScheme is a BlendVision One library. It must know the size of a file before its first byte.
func bvScheme() scheme {
	return scheme{
		name:     "bv",
		form:     "bv://NAME",
		about:    "a BlendVision One library; the size must be known, see -spool and ENVIRONMENT; get bv://ID",
		flags:    []string{flagInfo, flagPatient, flagBVType, flagBVSource},
		commands: []string{commandGet},
		open:     openBV,
	}
}

func openBV(_ context.Context, rest string, asked opening) (*destination, error) {
	credentials := blendvisionbackend.Credentials{OrgID: os.Getenv("BV_ORG_ID")}
	var err error
	if credentials.Token, err = secret("BV_API_TOKEN", os.Getenv("BV_API_TOKEN_FILE")); err != nil {
		return nil, usageError{err}
	}
	endpoint := os.Getenv("BV_ENDPOINT")
	if credentials.Token == "" || credentials.OrgID == "" || endpoint == "" {
		return nil, usageError{errors.New("bv:// needs the environment variables BV_API_TOKEN (or BV_API_TOKEN_FILE), BV_ORG_ID and BV_ENDPOINT")}
	}
	o := &blendvisionbackend.Options{
		Endpoint: endpoint, Logger: asked.log, Transport: asked.carrier(), Retry: asked.retry(),
	}
	b, err := blendvisionbackend.New(credentials, o)
	if err != nil {
		return nil, usageError{err}
	}
	b = b.With(blendvisionbackend.FileOptions{Type: asked.flags.bvType, Source: asked.flags.bvSource})
	return &destination{backend: b, name: rest, capped: true, get: getBV(b)}, nil
}

// getBV takes the ID of a file for its name: the service finds files by nothing else.
func getBV(b *blendvisionbackend.Backend) func(context.Context, string) (*incoming, error) {
	return func(ctx context.Context, id string) (*incoming, error) {
		d, err := b.Open(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w; bv:// finds files by their ID, which the upload printed, not by their names", err)
		}
		if err != nil {
			return nil, err
		}
		return &incoming{ReadCloser: d, id: d.ID, name: d.Name, size: d.Size}, nil
	}
}
