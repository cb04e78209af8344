package s3backend

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// overStalling returns a backend over store whose first request of that call is
// not answered, and a function that reports whether there was one.
func overStalling(t *testing.T, o Options, store *model, name string) (b *Backend, stalled func() bool) {
	met := false
	b = canned(t, o, func(r *http.Request) (*http.Response, error) {
		if callOf(r) == name && !met {
			met = true
			return silent(r)
		}
		return store.RoundTrip(r)
	})
	return b, func() bool { return met }
}

// A stream leaves a minute for cancelling, less than the two minutes without a
// byte that an attempt may last otherwise.
func TestCancel_HasTimeForAnotherAttemptIfOneStalls(t *testing.T) {
	for _, name := range []string{"AbortMultipartUpload", "ListParts"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newModel()
				b, stalled := overStalling(t, Options{}, store, name)
				f, _ := filled(t, b, false)
				ctx, cancel := context.WithTimeout(t.Context(), sluice.DefaultCleanupTimeout)
				defer cancel()
				require.NoError(t, f.Cancel(ctx))
				require.True(t, stalled())
				require.Zero(t, store.unfinished())
			})
		})
	}
}

// The answer to the finish is lost and the context has ended, so that there is a
// minute to look.
func TestFinish_LooksAgainIfALookUpStalls(t *testing.T) {
	for _, name := range []string{"ListParts", "HeadObject"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newModel()
				b, stalled := overStalling(t, Options{Retry: sluice.Retry{Attempts: 1}}, store, name)
				f, receipts := filled(t, b, false)
				answer := b.client.transport
				b.client.transport = testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					resp, err := answer.RoundTrip(r)
					if callOf(r) == "CompleteMultipartUpload" {
						return response(http.StatusBadGateway, ""), nil
					}
					return resp, err
				})
				began := time.Now()
				_, err := f.Finish(t.Context(), receipts, nil)
				require.NoError(t, err)
				require.True(t, stalled())
				require.Less(t, time.Since(began), time.Minute)
			})
		})
	}
}
