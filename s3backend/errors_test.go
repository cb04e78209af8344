package s3backend

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
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
		{301, "PermanentRedirect", nil, "(the bucket is served elsewhere: set Options.Endpoint)"},
		{301, "", []string{"Location", "https://data.s3.store.test/a?X-Amz-Signature=x"}, "(the bucket is served by https://data.s3.store.test: set Options.Endpoint)"},
		{307, "TemporaryRedirect", []string{"Location", "https://data.s3.store.test/a"}, "by https://data.s3.store.test: set Options.Endpoint"},
		{307, "TemporaryRedirect", []string{"X-Amz-Bucket-Region", "eu-west-3", "Location", "https://x.test/a"}, "region eu-west-3: set Options.Region"},
		{400, "IllegalLocationConstraintException", nil, "(set Options.Region to the region of the bucket)"},
		{400, "AuthorizationHeaderMalformed", nil, "(set Options.Region to the region of the bucket)"},
		{400, "InvalidArgument", []string{"X-Amz-Bucket-Region", "eu-west-3"}, "InvalidArgument: by the proxy (request R1)"},
		{404, "NoSuchBucket", nil, "PutObject: 404 NoSuchBucket: by the proxy (request R1)"},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			p := newProxy(t, false, &fault{strike: answer(c.status, c.code, c.header...)})
			b := newBackend(t, p.URL, "data", nil)
			_, err := stream(t.Context(), b, "a", []byte("x"))
			require.ErrorContains(t, err, c.want)
			if c.code != "" { // else it may be from a gateway
				require.LessOrEqual(t, p.count("PutObject"), 2, "it is final, but for other credentials or another clock")
			}
		})
	}
}

func TestWrongKeyIsRefusedByTheServer(t *testing.T) {
	b, err := New(t.Context(), newBucket(t), &Options{
		Endpoint: server.URL, Region: "us-east-1", Retry: quick,
		Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("sluice-test", "wrong", "")),
	})
	require.NoError(t, err)
	_, err = stream(context.Background(), b, "a", []byte("x"))
	require.ErrorContains(t, err, "SignatureDoesNotMatch")
	require.ErrorContains(t, err, "check the credentials")
}

// What the XML of an answer tells of the bucket's place comes before its headers.
func TestError_TellsThePlaceInTheAnswer(t *testing.T) {
	for body, want := range map[string]string{
		"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></Error>":            "region eu-1: set Options.Region",
		"<Error><Code>PermanentRedirect</Code><Endpoint>data.s3.store.test</Endpoint></Error>":     "by data.s3.store.test: set Options.Endpoint",
		"<Error><Code>PermanentRedirect</Code><Endpoint>e</Endpoint><Region>eu-1</Region></Error>": "region eu-1: set Options.Region",
		"<Error><Code>TemporaryRedirect</Code><Endpoint>data.s3-x.store.test\n</Endpoint></Error>": "by data.s3-x.store.test",
	} {
		status := http.StatusBadRequest
		if strings.Contains(body, "Redirect") {
			status = http.StatusMovedPermanently
		}
		b := canned(t, Options{Retry: quick}, func(*http.Request) (*http.Response, error) { return response(status, body), nil })
		_, err := stream(t.Context(), b, "a", []byte("x"))
		require.ErrorContains(t, err, want)
	}
}

// Some stores answer an option that they do not implement as a failure that passes.
func TestError_NamesOptionsThatTheStoreMayNotImplement(t *testing.T) {
	lock := FileOptions{Retention: Retention{Compliance, time.Now().Add(time.Hour)}, LegalHold: HoldOn}
	for _, c := range []struct {
		options FileOptions
		status  int
		want    string
	}{
		{FileOptions{Encryption: EncryptS3()}, 500, "(the store may not implement FileOptions.Encryption)"},
		{FileOptions{Encryption: EncryptS3()}, 501, "(the store may not implement FileOptions.Encryption)"},
		{lock, 501, "(the store may not implement FileOptions.Retention, FileOptions.LegalHold)"},
		{FileOptions{StorageClass: "GLACIER", Tags: map[string]string{"a": "b"}}, 500, "implement FileOptions.StorageClass, FileOptions.Tags)"},
		{FileOptions{CreateOnly: true}, 501, "implement FileOptions.CreateOnly)"},
		{FileOptions{CacheControl: "no-store"}, 500, ""},
		{FileOptions{Encryption: EncryptS3()}, 503, ""},
		{FileOptions{Encryption: EncryptS3()}, 403, ""},
	} {
		b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return response(http.StatusNotFound, ""), nil
			}
			return response(c.status, fmt.Sprintf(xmlError, "InternalError")), nil
		}).With(c.options)
		_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
		errs := []error{err}
		if !c.options.CreateOnly { // which goes with the finish
			_, err = b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
			errs = append(errs, err)
		}
		for _, err := range errs {
			require.ErrorContains(t, err, c.want)
			require.True(t, hasCode(err, "InternalError"))
			if c.want == "" {
				require.NotContains(t, err.Error(), "may not implement")
			}
		}
	}
}

func TestError_NamesPathStyleWhereTheBucketIsInTheHostName(t *testing.T) {
	const hint = "(if the store wants the bucket in the path, set Options.PathStyle)"
	noBucket := func(*http.Request) (*http.Response, error) {
		return response(http.StatusNotFound, fmt.Sprintf(xmlError, "NoSuchBucket")), nil
	}
	noHost := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "data.store.test", IsNotFound: true}}
	}
	for _, c := range []struct {
		endpoint string
		path     bool
		answer   func(*http.Request) (*http.Response, error)
		want     bool
	}{
		{"https://store.test", false, noBucket, true},
		{"https://store.test", false, noHost, true},
		{"https://store.test", true, noBucket, false},
		{"https://store.test", true, noHost, false},
		{"https://s3.eu-west-1.amazonaws.com", false, noBucket, false},
	} {
		b := newBackend(t, c.endpoint, "data", &Options{PathStyle: c.path, Transport: testutil.RoundTripFunc(c.answer)})
		_, err := b.Stat(t.Context(), "a")
		require.Equal(t, c.want, strings.Contains(err.Error(), hint), "%+v: %v", c, err)
	}
}
