package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// Every upload fails for good at the same moment, while the source goes on. In
// public reports the goroutine that cuts the stream then waits for workers that
// have ended (aws-sdk-go#226, aws-sdk-go#230, minio-go#2170).
func TestWrite_ReturnsWhenEveryUploadFailsAtOnce(t *testing.T) {
	failed := errors.New("failed for good")
	for _, concurrency := range []int{0, 1, 3} {
		for _, digests := range [][]sluice.Algorithm{nil, {memorybackend.SHA256()}} {
			t.Run(fmt.Sprint(concurrency, " uploads, ", len(digests), " digests"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newStub()
					release := make(chan struct{})
					b.uploadPart = func(context.Context, *sluice.Part, func() (sluice.Receipt, error)) (sluice.Receipt, error) {
						<-release
						return sluice.Receipt{}, failed
					}
					w, pool := open(t, t.Context(), b, func(o *sluice.Options) { o.Concurrency, o.Digests = concurrency, digests })
					time.AfterFunc(time.Minute, func() { close(release) })
					_, err := w.Write(testutil.Content(1000 * part))
					require.ErrorIs(t, err, failed)
					require.ErrorIs(t, w.Close(), failed)
					require.Zero(t, pool.InUse())
					requireNothingLeft(t, b.Backend)
				})
			})
		}
	}
}
