package b2backend_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// A pod that takes a byte a second moves all the time, so no watchdog ends the
// upload. The part goes to another pod.
func TestAPartOnASlowPodIsSentAgainElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		defer s.close(t)
		b, err := s.dial(t)
		require.NoError(t, err)
		inject(t, s.Server, b2test.Fault{Call: "b2_upload_part", Part: 6, Kind: b2test.SlowBody, Rate: 1})
		data := testutil.Content(8 * minPart)
		var again []sluice.PartEvent
		w, err := sluice.New(t.Context(), b, "file", &sluice.Options{
			PageSize: minPart, PartSize: minPart, MemoryLimit: 64 * minPart, Concurrency: 4,
			Hooks: &sluice.Hooks{
				PartRetrying: func(p sluice.PartEvent, _ error, _ time.Duration) { again = append(again, p) },
			},
		})
		require.NoError(t, err)
		defer w.Abort(nil)
		began := time.Now()
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Less(t, time.Since(began), 11*time.Second, "the pod would take 100 s")
		requireStored(t, s.Server, "file", data)
		require.Len(t, s.Files(s.Bucket()), 1)
		require.Empty(t, s.Unfinished())
		require.Equal(t, []sluice.PartEvent{{Number: 6, Offset: 5 * minPart, Size: minPart, Attempt: 1}}, again)
		require.Equal(t, 1, w.Stats().Restarts)
		require.LessOrEqual(t, s.Count("b2_get_upload_part_url"), 5, "only the URL of the attempt that was ended is lost")
	})
}

func TestAnUploadThatIsCutOffLosesItsOwnURLOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		defer s.close(t)
		b, err := s.dial(t)
		require.NoError(t, err)
		f := start(t, b, "file")
		inject(t, s.Server, b2test.Fault{Call: "b2_upload_part", Part: 1, Kind: b2test.SlowBody, Rate: 1})
		ctx, cancel := context.WithCancel(t.Context())
		cut := make(chan error, 1)
		go func() {
			_, err := f.UploadPart(ctx, part(1, testutil.Content(minPart)))
			cut <- err
		}()
		time.Sleep(time.Second)
		put(t, f, 1, testutil.Content(minPart))
		cancel()
		require.ErrorIs(t, <-cut, context.Canceled)
		put(t, f, 2, testutil.Content(minPart))
		require.Equal(t, 2, s.Count("b2_get_upload_part_url"), "one for each upload at once")
		_, err = f.Finish(t.Context(), []sluice.Receipt{receiptOf(1), receiptOf(2)}, nil)
		require.NoError(t, err)
		requireStored(t, s.Server, "file", append(testutil.Content(minPart), testutil.Content(minPart)...))
	})
}

// receiptOf is that of testutil.Content(minPart).
func receiptOf(number int) sluice.Receipt {
	return sluice.Receipt{Number: number, Size: minPart, Digests: part(number, testutil.Content(minPart)).Digests}
}

// The part that fails is the last one under way, at the end of the stream, when
// other uploads are idle.
func TestClose_ReturnsTheStoresErrorWhenALatePartFailsForGood(t *testing.T) {
	for name, c := range map[string]struct {
		fault b2test.Fault
		text  string // of the store's error
	}{
		"one part, late":   {b2test.Fault{Call: "b2_upload_part", Part: 5, Status: 503, Delay: 2500 * time.Millisecond, Count: -1}, "503"},
		"one part, stalls": {b2test.Fault{Call: "b2_upload_part", Part: 5, Kind: b2test.Stall, Count: -1}, "connection stalled"},
		"all after some":   {b2test.Fault{Call: "b2_upload_part", Skip: 4, Status: 503, Count: -1}, "503"},
	} {
		for _, concurrency := range []int{0, 1, 4} {
			t.Run(fmt.Sprint(name, ", ", concurrency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newPiped(t)
					defer s.close(t)
					b, err := s.dialWith(t, sluice.Retry{Attempts: 4, MaxWait: time.Second})
					require.NoError(t, err)
					inject(t, s.Server, c.fault)
					w, err := sluice.New(t.Context(), b, "file", &sluice.Options{
						PageSize: minPart, PartSize: minPart, MemoryLimit: 64 * minPart, Concurrency: concurrency,
					})
					require.NoError(t, err)
					defer w.Abort(nil)
					began := time.Now()
					_, _ = w.Write(testutil.Content(8 * minPart))
					var e *sluice.Error
					require.ErrorAs(t, w.Close(), &e)
					require.Equal(t, "upload", e.Op)
					require.ErrorContains(t, e.Err, c.text)
					require.Less(t, time.Since(began), 15*time.Minute)
					require.Empty(t, s.Unfinished(), "the large file is cancelled")
				})
			})
		}
	}
}
