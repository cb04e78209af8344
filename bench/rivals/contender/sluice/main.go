// Command sluice uploads by this project, as examples/pipe does.
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/s3backend"
)

func main() { contender.Main(upload) }

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

// connect makes the backend. What is sent over TLS to S3 is given a CRC and left out of the signature where parts and
// uploads are the same for all, as the others do by themselves; at its own defaults it has a SHA-256.
func connect(ctx context.Context, t contender.Task) (sluice.Backend, error) {
	if !t.S3 {
		return b2backend.New(ctx, b2backend.Credentials{KeyID: t.Server.KeyID, Key: t.Server.Key}, t.Server.Bucket,
			&b2backend.Options{Endpoint: t.Server.URL})
	}
	transport := exchange.NewTransport()
	transport.TLSClientConfig = t.Server.TLSConfig()
	return s3backend.New(ctx, t.Server.Bucket, &s3backend.Options{
		Endpoint: t.Server.URL, Region: "us-east-1", Transport: transport,
		Credentials:     credentials.NewStaticCredentialsProvider(t.Server.KeyID, t.Server.Key, ""),
		UnsignedPayload: t.Server.Certificate != nil && t.PartSize > 0,
	})
}
