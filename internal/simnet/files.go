package simnet

import (
	"context"
	"io/fs"
	"iter"
	"strings"

	"github.com/c1508ce4/sluice"
)

// Files is a source behind a simulated network: under every name it has a file
// of the same size, whose bytes are zeros, and no manifest.
type Files struct {
	link *Link
	size int64
}

var _ sluice.Source = (*Files)(nil)

// NewFiles returns a source of files of size bytes behind that network.
func NewFiles(n Network, size int64) *Files { return &Files{NewLink(n), size} }

// Close ends the simulation.
func (s *Files) Close() { s.link.Close() }

// Stat implements [sluice.Source].
func (s *Files) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f, err := s.link.dial(ctx)
	if err != nil {
		return sluice.StoredFile{}, err
	}
	if err := wait(ctx, s.link.RTT); err != nil {
		return sluice.StoredFile{}, err
	}
	s.link.release(f)
	if strings.HasSuffix(name, sluice.ManifestSuffix) {
		return sluice.StoredFile{}, fs.ErrNotExist
	}
	return sluice.StoredFile{File: sluice.File{ID: "x", Name: name, Size: s.size}}, nil
}

// ReadRange implements [sluice.Source].
func (s *Files) ReadRange(ctx context.Context, _ sluice.StoredFile, r *sluice.Range) error {
	f, err := s.link.dial(ctx)
	if err != nil {
		return err
	}
	_, left := r.Attempt()
	if err := wait(ctx, s.link.RTT); err != nil {
		return err
	}
	piece := make([]byte, max(1, min(left, s.link.Buffer)))
	for left > 0 {
		p := piece[:min(left, int64(len(piece)))]
		if err := f.send(ctx, int64(len(p)), true); err != nil {
			return err
		}
		if _, err := r.Write(p); err != nil {
			return err
		}
		left -= int64(len(p))
	}
	s.link.release(f)
	return nil
}

// List implements [sluice.Source]: it yields nothing.
func (s *Files) List(context.Context, string) iter.Seq2[sluice.StoredFile, error] {
	return func(func(sluice.StoredFile, error) bool) {}
}
