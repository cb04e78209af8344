package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// spooled is a stream that is stored in a temporary file, for a store that must know the size
// before the first byte. The file has no name, so that nothing is left of it however sluice
// ends; but Windows removes no open file.
type spooled struct {
	*os.File
	size  int64
	named bool
}

// Close closes the file, and removes it if it has a name.
func (s *spooled) Close() error {
	err := s.File.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}

// spool reads the whole source, until ctx ends. If it fails nothing has been sent.
func (j *job) spool(ctx context.Context) (_ *spooled, err error) {
	f, err := os.CreateTemp(j.config.spool, "sluice-*")
	if err != nil {
		return nil, usageError{fmt.Errorf("--spool: %w", err)}
	}
	s := &spooled{File: f, named: os.Remove(f.Name()) != nil}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	r, err := j.reader(ctx)
	if err != nil {
		return nil, err
	}
	err = attend(func() (err error) {
		s.size, err = io.Copy(f, r)
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
	return s, nil
}
