package sluice_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestTheTailTakesAShareOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smallLimits()
		l.PartDigests = nil
		// A connection carries a page a second: a part of eight pages takes eight seconds on one, and one on eight.
		b := memorybackend.New(&memorybackend.Options{Limits: &l, Bandwidth: page, Latency: 10 * time.Millisecond})
		w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, MaxSize: 100 * 8 * page, Concurrency: 8})
		require.NoError(t, err)
		_, err = w.Write(content(8*page + 8*page))
		require.NoError(t, err)
		time.Sleep(20 * time.Second) // the first part is stored
		last := time.Now()
		require.NoError(t, w.Close())
		require.Equal(t, time.Second+20*time.Millisecond, time.Since(last), "part / uploads / bandwidth + 2 latencies")
		require.Equal(t, 9, w.File().Parts)
		require.Equal(t, content(16*page), readBack(t, b, "f"))
	})
}

func TestAnInterruptedTailIsResumed(t *testing.T) {
	for n := 1; n <= 9; n++ {
		synctest.Test(t, func(t *testing.T) {
			memory, data := store(smallLimits()), content(15*page)
			o := func() *sluice.Options {
				return &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, Concurrency: 8, Resume: true, OnFailure: sluice.Keep}
			}
			b := faults.New(memory, faults.Fail(nil, faults.OnPart(n)), faults.Delay(time.Second, faults.OnPart(n)))
			slow := faults.New(b, faults.Delay(time.Second, faults.OnPart(n)))
			w, err := sluice.New(t.Context(), slow, "f", o())
			require.NoError(t, err)
			_, err = w.Write(data)
			require.NoError(t, err)
			err = w.Close()
			if n > 8 {
				require.NoError(t, err, "eight parts in all")
				return
			}
			require.ErrorIs(t, err, faults.ErrInjected)
			w, err = sluice.New(t.Context(), memory, "f", o())
			require.NoError(t, err)
			_, err = w.Write(data)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.Equal(t, data, readBack(t, memory, "f"))
			require.Greater(t, w.Stats().Reused, int64(0))
		})
	}
}

func TestAPlannedTailIsNotCut(t *testing.T) {
	l := sluice.Limits{PlansParts: true}
	b := memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: 4 * page})
	f, err := sluice.Upload(context.Background(), b, "f", &sluice.Options{MemoryLimit: 8 * page, PageSize: page, Size: 8 * page}, writeAll(content(8*page)))
	require.NoError(t, err)
	require.Equal(t, 2, f.Parts)
}
