package sluice

import (
	"context"
	"errors"
	"io"
)

// Upload streams what fill writes into the file of that name: the whole life of a [LargeFileWriter] in one
// call. If fill returns nil the file is finished; if it returns an error or panics, nothing is. The error
// that comes first is returned, wrapped in an [*Error]. opts may be nil.
//
// The writer that fill gets is also an [io.ReaderFrom], so [io.Copy] reads straight into the stream's
// pages. It is not an [io.Closer]: a compressor put on top is closed by fill, the stream by Upload. [Hooks] tell how
// parts fare meanwhile; who wants Stats or Settings while the stream runs takes a writer from [New].
func Upload(ctx context.Context, b Backend, name string, opts *Options, fill func(io.Writer) error) (File, error) {
	w, err := New(ctx, b, name, opts)
	if err != nil {
		return File{}, err
	}
	defer w.Abort(errFillPanicked)
	if err := fill(stream{w}); err != nil {
		w.Abort(err)
	}
	err = w.Close()
	return w.File(), err
}

// errFillPanicked is what a stream is aborted with when fill does not return.
var errFillPanicked = errors.New("function did not return")

// stream is a writer without its Close and Abort.
type stream struct{ w *LargeFileWriter }

func (s stream) Write(p []byte) (int, error)               { return s.w.Write(p) }
func (s stream) ReadFrom(r io.Reader) (n int64, err error) { return s.w.ReadFrom(r) }
