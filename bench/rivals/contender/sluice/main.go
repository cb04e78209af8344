// Command sluice uploads by this project.
package main

import (
	"context"
	"io"
	"runtime/debug"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload) }

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	debug.SetMemoryLimit(sluice.DefaultMemoryLimit + 24<<20)
	b, err := b2backend.New(ctx, b2backend.Credentials{KeyID: t.Server.KeyID, Key: t.Server.Key}, t.Server.Bucket,
		&b2backend.Options{Endpoint: t.Server.URL})
	if err != nil {
		return err
	}
	o := &sluice.Options{PartSize: t.PartSize, Concurrency: t.Concurrency}
	_, err = sluice.Upload(ctx, b, "sluice", o, func(w io.Writer) error {
		_, err := io.Copy(w, stream)
		return err
	})
	return err
}
