package s3backend

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		header []string
		want   string
	}{
		{403, "RequestTimeTooSkewed", []string{"Date", time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat)}, "this machine's clock differs from the store's by 20m"},
		{403, "SignatureDoesNotMatch", nil, "check the credentials"},
		{403, "InvalidAccessKeyId", nil, "check the credentials"},
		{301, "PermanentRedirect", []string{"X-Amz-Bucket-Region", "eu-west-3"}, "the bucket is in region eu-west-3: set Options.Region"},
		{400, "AuthorizationHeaderMalformed", []string{"X-Amz-Bucket-Region", "eu-west-3"}, "set Options.Region"},
		{404, "NoSuchBucket", nil, "PutObject: 404 NoSuchBucket: by the proxy (request R1)"},
	} {
		t.Run(c.code, func(t *testing.T) {
			p := newProxy(t, false, &fault{strike: answer(c.status, c.code, c.header...)})
			b := newBackend(t, p.URL, "data", nil)
			_, err := stream(t.Context(), b, "a", []byte("x"))
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, p.count("PutObject"), "it is final")
		})
	}
}

func TestWrongKeyIsRefusedByTheServer(t *testing.T) {
	b, err := New(t.Context(), newBucket(t), &Options{
		Endpoint: server.URL, Region: "us-east-1", Retry: quick,
		Credentials: credentials.NewStaticCredentialsProvider("sluice-test", "wrong", ""),
	})
	require.NoError(t, err)
	_, err = stream(context.Background(), b, "a", []byte("x"))
	require.ErrorContains(t, err, "SignatureDoesNotMatch")
	require.ErrorContains(t, err, "check the credentials")
}
