package b2backend_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// A pod that takes a byte a second moves all the time, so no watchdog ends the upload. The part goes to another pod.
func TestAPartOnASlowPodIsSentAgainElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		defer s.close(t)
		b, err := s.dial(t)
		require.NoError(t, err)
		inject(t, s.Server, b2test.Fault{Call: "b2_upload_part", Part: 6, Kind: b2test.SlowBody, Rate: 1})
		data := content(8 * minPart)
		var hedged []sluice.PartEvent
		var failures []error
		w, err := sluice.New(t.Context(), b, "file", &sluice.Options{
			PageSize: minPart, PartSize: minPart, MemoryLimit: 64 * minPart, Concurrency: 4,
			Hooks: &sluice.Hooks{
				PartHedged:   func(p sluice.PartEvent) { hedged = append(hedged, p) },
				PartRetrying: func(_ sluice.PartEvent, err error, _ time.Duration) { failures = append(failures, err) },
			},
		})
		require.NoError(t, err)
		defer w.Abort(nil)
		began := time.Now()
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Less(t, time.Since(began), 2*time.Second, "the pod would take 100 s")
		requireStored(t, s.Server, "file", data)
		require.Len(t, s.Files(s.Bucket()), 1)
		require.Empty(t, s.Unfinished())
		require.Equal(t, []sluice.PartEvent{{Number: 6, Offset: 5 * minPart, Size: minPart, Attempt: 1}}, hedged)
		require.Equal(t, 1, w.Stats().Hedges)
		require.Empty(t, failures)
		require.LessOrEqual(t, s.Count("b2_get_upload_part_url"), 4, "the hedge goes to a URL that is idle")
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
			_, err := f.UploadPart(ctx, part(1, content(minPart)))
			cut <- err
		}()
		time.Sleep(time.Second)
		put(t, f, 1, content(minPart))
		cancel()
		require.ErrorIs(t, <-cut, context.Canceled)
		put(t, f, 2, content(minPart))
		require.Equal(t, 2, s.Count("b2_get_upload_part_url"), "one for each upload at once")
		_, err = f.Finish(t.Context(), []sluice.Receipt{receiptOf(1), receiptOf(2)}, nil)
		require.NoError(t, err)
		requireStored(t, s.Server, "file", append(content(minPart), content(minPart)...))
	})
}

// receiptOf is that of content(minPart).
func receiptOf(number int) sluice.Receipt {
	return sluice.Receipt{Number: number, Size: minPart, Digests: part(number, content(minPart)).Digests}
}
