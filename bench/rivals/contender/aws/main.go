// Command aws uploads by the transfer manager of the AWS SDK.
package main

import (
	"context"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

func main() { contender.Main(upload) }

func upload(ctx context.Context, t contender.Task, stream io.Reader) error {
	client := s3.New(s3.Options{
		BaseEndpoint: &t.Server.URL,
		Region:       "us-east-1",
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(t.Server.KeyID, t.Server.Key, ""),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(h *http.Transport) {
			h.TLSClientConfig = t.Server.TLSConfig()
		}),
	})
	manager := transfermanager.New(client, func(o *transfermanager.Options) {
		if t.PartSize > 0 {
			o.PartSizeBytes, o.Concurrency = t.PartSize, t.Concurrency
		}
	})
	_, err := manager.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &t.Server.Bucket, Key: aws.String("aws"), Body: stream,
	})
	return err
}
