// Command aws uploads by the transfer manager of the AWS SDK.
package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload, download) }

func connect(t contender.Task) *transfermanager.Client {
	client := s3.New(s3.Options{
		BaseEndpoint: &t.Server.URL,
		Region:       "us-east-1",
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(t.Server.KeyID, t.Server.Key, ""),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(h *http.Transport) {
			h.TLSClientConfig = t.Server.TLSConfig()
		}),
	})
	return transfermanager.New(client, func(o *transfermanager.Options) {
		if t.PartSize > 0 {
			o.PartSizeBytes, o.Concurrency = t.PartSize, t.Concurrency
		}
	})
}

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	_, err := connect(t).UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &t.Server.Bucket, Key: aws.String("aws"), Body: stream,
	})
	return err
}

// download reads by ranges: what is stored has no parts of its own.
func download(ctx context.Context, t contender.Task) error {
	to, err := t.Output()
	if err != nil {
		return err
	}
	var w io.WriterAt = to
	if t.Path == "" {
		w = nothing{}
	}
	_, err = connect(t).DownloadObject(ctx, &transfermanager.DownloadObjectInput{
		Bucket: &t.Server.Bucket, Key: aws.String(strconv.FormatInt(t.Size, 10)), WriterAt: w,
	}, func(o *transfermanager.Options) { o.GetObjectType = types.GetObjectRanges })
	return errors.Join(err, to.Close())
}

// nothing takes everything.
type nothing struct{}

func (nothing) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
