package blendvisionbackend_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// A stream leaves a minute for cancelling, less than the two minutes without a
// byte that an attempt may last otherwise.
func TestCancel_HasTimeForAnotherAttemptIfOneStalls(t *testing.T) {
	inWorld(t, nil, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.Stall})
		f := w.start(1)
		ctx, cancel := context.WithTimeout(w.Context(), sluice.DefaultCleanupTimeout)
		defer cancel()
		require.NoError(w, f.Cancel(ctx))
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

// A session that is of no use is cancelled within half a minute.
func TestStartLargeFile_CancelsAnOddPlanThoughAnAttemptStalls(t *testing.T) {
	twice := func(int64) []int { return []int{1, 1} }
	inWorld(t, &bvtest.Options{Numbers: twice}, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.Stall})
		_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "talk.mp4", Size: 12 * mebi})
		require.ErrorContains(w, err, "plans part number 1 twice")
		require.NotErrorIs(w, err, sluice.ErrLeftBehind)
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

// The answer to the completion is lost and there is no other attempt, so that
// there is a minute to look.
func TestFinish_LooksAgainIfALookUpStalls(t *testing.T) {
	inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 1}}, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer},
			bvtest.Fault{Call: bvtest.CallDownload, Kind: bvtest.Stall})
		f, receipts, digests := w.ready([]byte("x"))
		began := time.Now()
		_, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err)
		require.Less(w, time.Since(began), time.Minute)
		require.NoError(w, w.server.Check())
	})
}
