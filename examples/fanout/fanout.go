package main

import (
	"context"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// save streams source into a file of that name in every store. A file of the
// result is zero where there is none. If err is nil all are there.
func save(ctx context.Context, stores []sluice.Backend, name string, source io.Reader) ([]sluice.File, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// ends with the first that fails, and so do the other streams
	group, ctx := errgroup.WithContext(ctx)
	agreed := newAgreement(len(stores))
	streams := make([]*sluice.LargeFileWriter, len(stores))
	writers := make([]io.Writer, len(stores))
	for i, store := range stores {
		w, err := sluice.New(ctx, agreeing{store, agreed}, name, nil)
		if err != nil {
			return nil, err
		}
		defer w.Abort(nil) // does nothing after Close
		streams[i], writers[i] = w, w
	}
	// What fails here, the source or one of the stores, is aborted for all by the deferred calls.
	if _, err := io.Copy(io.MultiWriter(writers...), source); err != nil {
		return nil, err
	}
	for _, w := range streams {
		group.Go(w.Close)
	}
	err := group.Wait()
	files := make([]sluice.File, len(stores))
	for i, w := range streams {
		files[i] = w.File()
	}
	return files, err
}

// agreement is the point that all streams reach with everything stored, before any is finished.
type agreement struct {
	missing atomic.Int32
	all     chan struct{} // closed when none is missing
}

func newAgreement(n int) *agreement {
	a := &agreement{all: make(chan struct{})}
	a.missing.Store(int32(n))
	return a
}

// wait waits for the others.
func (a *agreement) wait(ctx context.Context) error {
	if a.missing.Add(-1) == 0 {
		close(a.all)
	}
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// agreeing is a store that is asked for nothing final before all streams agree.
type agreeing struct {
	sluice.Backend
	agreement *agreement
}

func (a agreeing) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if err := a.agreement.wait(ctx); err != nil {
		return sluice.File{}, err
	}
	return a.Backend.UploadFile(ctx, spec, p)
}

func (a agreeing) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	large, err := a.Backend.StartLargeFile(ctx, spec)
	if err != nil {
		return nil, err
	}
	return agreeingFile{large, a.agreement}, nil
}

type agreeingFile struct {
	sluice.LargeFile
	agreement *agreement
}

func (f agreeingFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	if err := f.agreement.wait(ctx); err != nil {
		return sluice.File{}, err
	}
	return f.LargeFile.Finish(ctx, parts, whole)
}
