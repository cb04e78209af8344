package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// The context ends at one of the calls to the store. An uploader whose workers
// then left quietly finished what it had, and returned nil
// (matrixorigin/matrixone#29267).
func TestWriter_WhoseContextEndsAtAnyCallIsWholeOrFails(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		for at := 1; ; at++ {
			reached := false
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := newStub()
				var calls atomic.Int64
				count := func() {
					if calls.Add(1) == int64(at) {
						reached = true
						cancel()
					}
				}
				b.start = func(_ context.Context, real func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
					count()
					return real()
				}
				b.uploadPart = func(_ context.Context, _ *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
					count()
					return real()
				}
				b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
					count()
					return real()
				}
				w, pool := open(t, ctx, b, func(o *sluice.Options) { o.Concurrency = concurrency })
				data := testutil.Content(6*part + 3)
				_, err := w.Write(data)
				if closed := w.Close(); err == nil {
					err = closed
				}
				require.Zero(t, pool.InUse())
				if err == nil {
					require.Equal(t, data, readBack(t, b.Backend, "f"))
					return
				}
				require.ErrorIs(t, err, context.Canceled)
				requireNothingLeft(t, b.Backend)
			})
			if !reached {
				require.Greater(t, at, 8)
				break
			}
		}
	}
}

// A reader with fewer bytes than were declared was stored as a whole file
// (minio/minio-go#822).
func TestWriter_StoresNothingOfAStreamShorterThanDeclared(t *testing.T) {
	for _, size := range []int64{1, part, 5*part + 1} {
		for missing := int64(1); missing <= min(size, part+1); missing += part {
			b := newStub()
			_, err := sluice.Upload(t.Context(), b, "f", &sluice.Options{Size: size}, writeAll(testutil.Content(int(size-missing))))
			require.ErrorIs(t, err, sluice.ErrShortStream)
			requireNothingLeft(t, b.Backend)
		}
	}
}
