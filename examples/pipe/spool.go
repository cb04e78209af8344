package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// spooled is a stream that is stored in a temporary file without a name, for a store that must know the size
// before the first byte.
type spooled struct {
	*os.File
	size int64
}

// spool reads the whole source, until ctx ends. If it fails nothing has been sent.
func (j *job) spool(ctx context.Context) (_ *spooled, err error) {
	f, err := os.CreateTemp(j.config.spool, "pipe-*")
	if err != nil {
		return nil, usageError{fmt.Errorf("-spool: %w", err)}
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("-spool: %w", err)
	}
	r, err := j.reader(ctx)
	if err != nil {
		return nil, err
	}
	var n int64
	err = attend(func() (err error) {
		n, err = io.Copy(f, r)
		return err
	}, ctx.Done(), func() error { return context.Cause(ctx) })
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		j.source.stop(err)
		j.source.wait()
		return nil, fmt.Errorf("before anything was sent: %w", err)
	}
	return &spooled{f, n}, nil
}
