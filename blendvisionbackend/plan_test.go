package blendvisionbackend_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

func TestSizeIsSplitOverTheURLs(t *testing.T) {
	const min, max = 5 << 20, 5 << 30
	for _, v := range []struct {
		size int64
		n    int
		each int64
		last int64
	}{
		{1, 1, 1, 1},
		{min - 1, 1, min - 1, min - 1},
		{max, 1, max, max},
		{2*min - 1, 2, min, min - 1},
		{2 * min, 2, min, min},
		{2*min + 1, 2, min + 1, min},
		{min + 1, 2, min, 1},
		{9*min + 1, 10, min, 1},
		{100_000_001, 3, 33_333_334, 33_333_333},
		{4 * max, 4, max, max},
		{70_000_000_000, 14, max - 368_709_120, max - 368_709_120},
		{70_000_000_000, 13351, 5_243_053, 5_242_450},
	} {
		t.Run(fmt.Sprintf("%d over %d", v.size, v.n), func(t *testing.T) {
			inWorld(t, &bvtest.Options{Parts: v.n}, func(w world) {
				f := w.start(v.size)
				plan := f.Info().PartSizes
				require.Len(w, plan, v.n)
				var sum int64
				for i, size := range plan[:v.n-1] {
					if size != v.each {
						w.Fatalf("part %d has %d bytes", i+1, size)
					}
					sum += size
				}
				require.Equal(w, v.last, plan[v.n-1])
				require.Equal(w, v.size, sum+plan[v.n-1])
				plan[0] = -1
				require.Positive(w, f.Info().PartSizes[0], "what Info returns is the caller's")
				require.NoError(w, f.Cancel(w.Context()))
			})
		})
	}
}

func TestOddPlanIsAnErrorAndTheSessionIsCancelled(t *testing.T) {
	for name, v := range map[string]struct {
		size    int64
		numbers []int
		text    string
	}{
		"none":       {1, []int{}, "the server plans no parts"},
		"duplicates": {1, []int{3, 4, 3}, "the server plans part number 3 twice, in places 1 and 3"},
		"over 5 GiB": {
			5<<30 + 1,
			[]int{1},
			"the server plans 1 parts for 5368709121 bytes: parts of 5368709121 bytes are over its largest of 5368709120",
		},
		"under 5 MiB": {
			5 << 20,
			[]int{1, 2},
			"the server plans 2 parts for 5242880 bytes: parts of its smallest size, 5242880 bytes, are fewer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &bvtest.Options{Numbers: func(int64) []int { return v.numbers }}, func(w world) {
				_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: v.size})
				require.EqualError(w, err, "blendvisionbackend: files:upload: "+v.text)
				require.Equal(w, bvtest.Cancelled, w.session().State)
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestOddPlanThatCannotBeCancelledIsNamed(t *testing.T) {
	inWorld(t, &bvtest.Options{Numbers: func(int64) []int { return nil }}, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.Refuse, Status: 403})
		_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
		s := w.session()
		require.ErrorIs(w, err, sluice.ErrLeftBehind)
		require.EqualError(w, err, "sluice: a large file may be left unfinished (session "+s.FileID+"/"+s.UploadID+
			", cancelling it failed: blendvisionbackend: cancel-upload: 403 PERMISSION_DENIED: Forbidden)"+
			": blendvisionbackend: files:upload: the server plans no parts")
	})
}

func TestASessionWhoseAnswerWasLostIsSaidToBeLeft(t *testing.T) {
	for _, fault := range []bvtest.Fault{
		{Kind: bvtest.LoseAnswer}, {Kind: bvtest.Truncate}, {Kind: bvtest.Garbage}, {Kind: bvtest.Refuse, Status: 403},
	} {
		inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 1}}, func(w world) {
			fault.Call = bvtest.CallUpload
			w.inject(fault)
			_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.Error(w, err)
			require.Equal(w, len(w.server.Sessions()) == 1, errors.Is(err, sluice.ErrLeftBehind), "%v", err)
		})
	}
}

func TestServersPartNumbersAreEchoed(t *testing.T) {
	content := make([]byte, 10*mebi+1)
	for i := range content {
		content[i] = byte(i >> 20)
	}
	for name, o := range map[string]bvtest.Options{
		"from 0":      {Parts: 3, FirstNumber: 0},
		"from 1":      {Parts: 3, FirstNumber: 1},
		"in no order": {Numbers: func(int64) []int { return []int{70, 7, 33} }},
		"upload_data inside file, other form of integers": {Parts: 3, NestUploadData: true, SwapInt64: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &o, func(w world) {
				f := w.start(int64(len(content)))
				receipts := w.put(f, content)
				file, err := f.Finish(w.Context(), receipts, sums(content))
				require.NoError(w, err)
				got, ok := w.server.Content(file.ID)
				require.True(w, ok)
				require.Equal(w, content, got)
				require.NoError(w, w.server.Check())
			})
		})
	}
}
