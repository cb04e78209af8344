// Command sluice uploads by this project, as cmd/sluice does.
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/s3backend"
)

func main() { contender.Main(upload, download) }

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	debug.SetMemoryLimit(sluice.DefaultMemoryLimit + lab.Beside)
	if t.Size == 0 {
		lab.EnlargePipe(os.Stdin)
	}
	b, err := connect(ctx, t)
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

// connect makes the backend.
func connect(ctx context.Context, t contender.Task) (sluice.Backend, error) {
	if !t.S3 {
		return b2backend.New(ctx, b2backend.NewCredentials(t.Server.KeyID, t.Server.Key), t.Server.Bucket,
			&b2backend.Options{Endpoint: t.Server.URL})
	}
	transport := httpx.NewTransport()
	transport.TLSClientConfig = t.Server.TLSConfig()
	return s3backend.New(ctx, t.Server.Bucket, &s3backend.Options{
		Endpoint: t.Server.URL, Region: "us-east-1", Transport: transport,
		Credentials: s3backend.NewCredentials(credentials.NewStaticCredentialsProvider(t.Server.KeyID, t.Server.Key, "")),
	})
}

func download(ctx context.Context, t contender.Task) error {
	debug.SetMemoryLimit(sluice.DefaultMemoryLimit + lab.Beside)
	b, err := connect(ctx, t)
	if err != nil {
		return err
	}
	source, name := b.(sluice.Source), strconv.FormatInt(t.Size, 10)
	if t.Path != "" {
		_, err = sluice.DownloadFile(ctx, source, name, t.Path, nil)
	} else {
		_, err = sluice.Download(ctx, source, name, io.Discard, nil)
	}
	return err
}
