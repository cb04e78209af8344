package s3backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/engines"
)

// server is a versitygw of this test run.
var server *engines.Server

// TestMain starts the server. One that cannot be built or started fails the
// run: a run without it would have tested nothing.
func TestMain(m *testing.M) {
	var err error
	if server, err = engines.Start(context.Background(), engines.Versitygw); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := exampleEnvironment(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// exampleEnvironment is what the examples, which name no server, find the server by.
func exampleEnvironment() error {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": engines.Region,
		"AWS_ACCESS_KEY_ID": engines.AccessKey, "AWS_SECRET_ACCESS_KEY": engines.SecretKey,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return server.MakeBucket("examples")
}

var buckets atomic.Int64

// newBucket makes an empty bucket on the server.
func newBucket(t *testing.T) string {
	name := fmt.Sprintf("bucket-%d", buckets.Add(1))
	require.NoError(t, server.MakeBucket(name))
	return name
}

// quick is a policy whose waits are short, for tests over real sockets.
var quick = sluice.Retry{Attempts: 4, MaxWait: 5 * time.Millisecond}

// newBackend opens a bucket of the server at an endpoint, which may be a
// proxy's. options may be nil.
func newBackend(t *testing.T, endpoint, bucket string, options *Options) *Backend {
	var o Options
	if options != nil {
		o = *options
	}
	o.Endpoint, o.Region = endpoint, engines.Region
	o.Credentials = NewCredentials(credentials.NewStaticCredentialsProvider(engines.AccessKey, engines.SecretKey, ""))
	if o.Retry == (sluice.Retry{}) {
		o.Retry = quick
	}
	b, err := New(t.Context(), bucket, &o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if transport, ok := b.client.transport.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
	})
	return b
}

// read opens a finished file as any reader of the store would.
func read(b *Backend, name string) (*http.Response, error) {
	ctx := context.Background()
	keys, err := b.client.credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	req, err := b.client.request(ctx, &call{
		method: http.MethodGet, key: name, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}},
	}, keys)
	if err != nil {
		return nil, err
	}
	resp, err := b.client.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		err = errors.Join(err, resp.Body.Close())
		if resp.StatusCode == http.StatusNotFound {
			err = fs.ErrNotExist
		}
		return nil, fmt.Errorf("reading %q: %s: %s: %w", name, resp.Status, body, err)
	}
	return resp, nil
}

// contents reads a finished file whole.
func contents(t *testing.T, b *Backend, name string) ([]byte, http.Header) {
	resp, err := read(b, name)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	return data, resp.Header
}

// requireAbsent sees that there is no finished file of that name.
func requireAbsent(t *testing.T, b *Backend, name string) {
	_, err := read(b, name)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// leftovers are the IDs of the unfinished large files of the bucket.
func leftovers(t *testing.T, b *Backend) []string {
	var ids []string
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		ids = append(ids, u.ID)
	}
	return ids
}
