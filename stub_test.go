package sluice_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// stub is a strict store in memory of which single calls are replaced. A
// replacement gets the real call.
type stub struct {
	*memorybackend.Backend
	uploadFile func(ctx context.Context, p *sluice.Part, real func() (sluice.File, error)) (sluice.File, error)
	start      func(ctx context.Context, real func() (sluice.LargeFile, error)) (sluice.LargeFile, error)
	uploadPart func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error)
	finish     func(ctx context.Context, real func() (sluice.File, error)) (sluice.File, error)
	cancel     func(ctx context.Context, real func() error) error
	cancels    int
}

func newStub() *stub { return &stub{Backend: store(smallLimits())} }

func (s *stub) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	real := func() (sluice.File, error) { return s.Backend.UploadFile(ctx, spec, p) }
	if s.uploadFile != nil {
		return s.uploadFile(ctx, p, real)
	}
	return real()
}

func (s *stub) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	real := func() (sluice.LargeFile, error) {
		large, err := s.Backend.StartLargeFile(ctx, spec)
		if err != nil {
			return nil, err
		}
		return &stubFile{large, s}, nil
	}
	if s.start != nil {
		return s.start(ctx, real)
	}
	return real()
}

type stubFile struct {
	sluice.LargeFile
	s *stub
}

func (f *stubFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	real := func() (sluice.Receipt, error) { return f.LargeFile.UploadPart(ctx, p) }
	if f.s.uploadPart != nil {
		return f.s.uploadPart(ctx, p, real)
	}
	return real()
}

func (f *stubFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	real := func() (sluice.File, error) { return f.LargeFile.Finish(ctx, parts, whole) }
	if f.s.finish != nil {
		return f.s.finish(ctx, real)
	}
	return real()
}

func (f *stubFile) Cancel(ctx context.Context) error {
	f.s.cancels++
	real := func() error { return f.LargeFile.Cancel(ctx) }
	if f.s.cancel != nil {
		return f.s.cancel(ctx, real)
	}
	return real()
}

// open returns a writer on b and its pool.
func open(t testing.TB, ctx context.Context, b sluice.Backend, change func(*sluice.Options)) (*sluice.LargeFileWriter, *sluice.Pool) {
	pool, err := sluice.NewPool(8*page, page)
	require.NoError(t, err)
	o := &sluice.Options{Pool: pool, PartSize: part, Concurrency: 3}
	if change != nil {
		change(o)
	}
	w, err := sluice.New(ctx, b, "f", o)
	require.NoError(t, err)
	return w, pool
}

func mustWrite(t testing.TB, w *sluice.LargeFileWriter, n int) {
	t.Helper()
	k, err := w.Write(testutil.Content(n))
	require.NoError(t, err)
	require.Equal(t, n, k)
}

// until blocks a call until ctx ends, as a store that never answers does.
func until(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}
