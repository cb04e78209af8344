package s3backend

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

const sharedKeys = "[default]\naws_access_key_id = id\naws_secret_access_key = secret\naws_session_token = "

// A job renews the credentials in the shared file while a long stream runs.
func TestCredentials_AreReadAgainFromDiskWhenTheOldOnesEnd(t *testing.T) {
	for code, status := range map[string]int{"ExpiredToken": 400, "InvalidAccessKeyId": 403, "InvalidToken": 400} {
		t.Run(code, func(t *testing.T) {
			awsEnvironment(t, "", sharedKeys+"monday")
			valid := "monday"
			store := newModel()
			b, err := New(t.Context(), "bucket", &Options{
				Endpoint: "https://store.test", Region: "r", Retry: quick,
				Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("X-Amz-Security-Token") != valid {
						return modelError(r, status, code), nil
					}
					return store.RoundTrip(r)
				}),
			})
			require.NoError(t, err)
			f, receipts := filled(t, b, false)
			require.NoError(t, os.WriteFile(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), []byte(sharedKeys+"tuesday"), 0o600))
			_, err = f.UploadPart(t.Context(), part(3, threeParts[2]))
			require.NoError(t, err, "the old ones hold as long as the store takes them")
			valid = "tuesday"
			_, err = f.UploadPart(t.Context(), part(3, threeParts[2]))
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), receipts, nil)
			require.NoError(t, err)
			valid = "wednesday"
			_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "b", Size: 1}, part(0, []byte("x")))
			require.ErrorContains(t, err, code, "nobody has renewed them")
		})
	}
}

func TestCredentials_ThatAreEmptyAreRefusedByName(t *testing.T) {
	for text, keys := range map[string]aws.Credentials{
		`the access key ID of "vault" is empty`:     {SecretAccessKey: "x", Source: "vault"},
		`the secret access key of "vault" is empty`: {AccessKeyID: "x", Source: "vault"},
	} {
		b := canned(t, Options{}, func(*http.Request) (*http.Response, error) {
			t.Error("a request was sent")
			return response(http.StatusOK, ""), nil
		})
		b.client.credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
		_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
		require.ErrorContains(t, err, text)
		require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
		_, err = b.Stat(t.Context(), "a")
		require.ErrorContains(t, err, text)
	}
}

func TestCredentials_ThatAreMissingSayWhatToSet(t *testing.T) {
	awsEnvironment(t, "", "")
	b, err := New(t.Context(), "bucket", &Options{Region: "r", Endpoint: "https://store.test", Retry: quick})
	require.NoError(t, err)
	_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
	require.ErrorContains(t, err, "there are none in the AWS environment and files: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or Options.Credentials (")
}

// The address of the instance's role answers nothing on most other machines.
func TestCredentials_OfARoleAreNotWaitedForElsewhere(t *testing.T) {
	dead := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	})
	for expected, want := range map[bool]time.Duration{false: time.Second, true: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			_, err := (&instanceRole{dead, expected}).Retrieve(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, want, time.Since(began))
		})
	}
}

// endingRole is a role whose service fails after its first answer, which has ended by then.
type endingRole struct {
	*ec2rolecreds.Provider
	asked int
}

func (r *endingRole) Retrieve(context.Context) (aws.Credentials, error) {
	if r.asked++; r.asked > 1 {
		return aws.Credentials{}, errors.New("service unavailable")
	}
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(-time.Hour)}, nil
}

func TestCredentials_OfARoleAreProlongedWhileItsServiceFails(t *testing.T) {
	role := &endingRole{Provider: ec2rolecreds.New()}
	cache := aws.NewCredentialsCache(&instanceRole{role, true})
	for range 2 {
		keys, err := cache.Retrieve(t.Context())
		require.NoError(t, err)
		require.Equal(t, "id", keys.AccessKeyID)
	}
	require.Equal(t, 2, role.asked)
}

func TestCredentials_OfTheEnvironmentThatAreHalfAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ set, text string }{
		{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is empty"},
		{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is empty"},
	} {
		awsEnvironment(t, "", "")
		t.Setenv(c.set, "x")
		_, err := New(t.Context(), "bucket", &Options{Region: "r"})
		require.ErrorContains(t, err, c.text)
	}
}
