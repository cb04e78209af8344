// Command minio uploads by github.com/minio/minio-go.
package main

import (
	"context"
	"io"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload) }

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	server, err := url.Parse(t.Server.URL)
	if err != nil {
		return err
	}
	secure := t.Server.Certificate != nil
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return err
	}
	if secure {
		transport.TLSClientConfig = t.Server.TLSConfig()
	}
	client, err := minio.New(server.Host, &minio.Options{
		Creds: credentials.NewStaticV4(t.Server.KeyID, t.Server.Key, ""), Secure: secure, Region: "us-east-1", Transport: transport,
	})
	if err != nil {
		return err
	}
	o := minio.PutObjectOptions{PartSize: uint64(t.PartSize), NumThreads: uint(t.Concurrency), ConcurrentStreamParts: t.Concurrency > 0}
	_, err = client.PutObject(ctx, t.Server.Bucket, "minio", stream, -1, o)
	return err
}
