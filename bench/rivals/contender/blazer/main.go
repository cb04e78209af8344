// Command blazer uploads by github.com/Backblaze/blazer.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/Backblaze/blazer/b2"

	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload, nil) }

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	client, err := b2.NewClient(ctx, t.Server.KeyID, t.Server.Key, b2.APIBase(t.Server.URL))
	if err != nil {
		return err
	}
	bucket, err := client.Bucket(ctx, t.Server.Bucket)
	if err != nil {
		return err
	}
	w := bucket.Object("blazer").NewWriter(ctx)
	w.ChunkSize, w.ConcurrentUploads = int(t.PartSize), t.Concurrency
	_, err = io.Copy(w, stream)
	return errors.Join(err, w.Close())
}
