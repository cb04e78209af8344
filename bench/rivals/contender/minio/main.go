// Command minio uploads by github.com/minio/minio-go.
package main

import (
	"context"
	"io"
	"net/url"
	"strconv"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload, download) }

func connect(t contender.Task) (*minio.Client, error) {
	server, err := url.Parse(t.Server.URL)
	if err != nil {
		return nil, err
	}
	secure := t.Server.Certificate != nil
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	if secure {
		transport.TLSClientConfig = t.Server.TLSConfig()
	}
	return minio.New(server.Host, &minio.Options{
		Creds: credentials.NewStaticV4(t.Server.KeyID, t.Server.Key, ""), Secure: secure, Region: "us-east-1", Transport: transport,
	})
}

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	client, err := connect(t)
	if err != nil {
		return err
	}
	o := minio.PutObjectOptions{PartSize: uint64(t.PartSize), NumThreads: uint(t.Concurrency), ConcurrentStreamParts: t.Concurrency > 0}
	_, err = client.PutObject(ctx, t.Server.Bucket, "minio", stream, -1, o)
	return err
}

func download(ctx context.Context, t contender.Task) error {
	client, err := connect(t)
	if err != nil {
		return err
	}
	name := strconv.FormatInt(t.Size, 10)
	if t.Path != "" {
		return client.FGetObject(ctx, t.Server.Bucket, name, t.Path, minio.GetObjectOptions{})
	}
	object, err := client.GetObject(ctx, t.Server.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer object.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{object}, make([]byte, 1<<20))
	return err
}
