package main

import (
	"context"
	"io"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// drop is a backend that reads every part, forgets it and allocates nothing, so
// that what is measured is the writer: filling, hashing, scheduling.
type drop struct{ sluice.Unsupported }

func (drop) Limits() sluice.Limits {
	return sluice.Limits{MaxParts: 10_000, MaxSingle: 5e9, MinParts: 2, PartDigests: []sluice.Algorithm{memorybackend.SHA256()}}
}

func (drop) UploadFile(_ context.Context, _ sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	return sluice.File{ID: "dropped", Size: p.Size}, take(p)
}

func (d drop) StartLargeFile(context.Context, sluice.FileSpec) (sluice.LargeFile, error) {
	return d, nil
}

func (drop) Info() sluice.LargeFileInfo { return sluice.LargeFileInfo{ID: "dropped"} }

func (drop) UploadPart(_ context.Context, p *sluice.Part) (sluice.Receipt, error) {
	return sluice.Receipt{Number: p.Number, Size: p.Size}, take(p)
}

func (drop) Finish(context.Context, []sluice.Receipt, sluice.Digests) (sluice.File, error) {
	return sluice.File{ID: "dropped"}, nil
}

func (drop) Cancel(context.Context) error { return nil }

func take(p *sluice.Part) error {
	body := p.Attempt()
	defer body.Close()
	_, err := body.WriteTo(io.Discard)
	return err
}
