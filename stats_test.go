package sluice_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestStatsSayWhereTheTimeWent(t *testing.T) {
	l := smallLimits()
	l.MinPart = part // so that the last part is not shared
	run := func(t *testing.T, memory int64, concurrency int, latency, source time.Duration) sluice.Stats {
		b := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: latency})
		w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: memory, PageSize: page, PartSize: part, Concurrency: concurrency, MaxSize: 100_000})
		require.NoError(t, err)
		for range 20 {
			time.Sleep(source)
			_, err := w.Write(testutil.Content(part))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		s := w.Stats()
		require.Equal(t, s.Elapsed, s.WaitSource+s.WaitMemory+s.WaitNetwork)
		require.EqualValues(t, 20*part, s.Acknowledged)
		require.Equal(t, 20, s.PartsDone)
		time.Sleep(time.Hour)
		require.Equal(t, s, w.Stats(), "the clock stops at Close")
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		s := run(t, 64*page, 8, time.Millisecond, time.Second)
		require.Equal(t, 20*time.Second, s.WaitSource)
		require.Zero(t, s.WaitMemory)
	})
	synctest.Test(t, func(t *testing.T) {
		s := run(t, 64*page, 1, time.Second, 0)
		require.Zero(t, s.WaitSource)
		require.Zero(t, s.WaitMemory)
		require.Greater(t, s.WaitNetwork, 20*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		s := run(t, 6*page, 8, time.Second, 0)
		require.Greater(t, s.WaitMemory, 5*time.Second, "two parts in memory, eight uploads free")
	})
}

func TestHooksTellTheStory(t *testing.T) {
	var story []string
	var mu sync.Mutex
	tell := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		story = append(story, s)
	}
	hooks := &sluice.Hooks{
		LargeFileStarted: func(i sluice.LargeFileInfo) { tell("started " + i.ID) },
		PartStarted:      func(p sluice.PartEvent) { tell(event("part", p)) },
		PartRetrying: func(p sluice.PartEvent, err error, wait time.Duration) {
			tell(event("retrying", p) + " after " + err.Error())
		},
		PartDone: func(p sluice.PartEvent, err error) { tell(event("done", p)) },
	}
	memory := store(smallLimits())
	w, _ := open(t, t.Context(), faults.New(memory, faults.Retry(nil, faults.OnPart(2))), func(o *sluice.Options) { o.Hooks, o.Concurrency = hooks, 1 })
	mustWrite(t, w, part+5)
	require.NoError(t, w.Close())
	require.Equal(t, []string{
		"started " + w.File().ID,
		"part 1 of 32 at 0, attempt 0", "done 1 of 32 at 0, attempt 1",
		"part 2 of 5 at 32, attempt 0", "retrying 2 of 5 at 32, attempt 1 after faults: injected failure", "done 2 of 5 at 32, attempt 2",
	}, story)

	story = nil
	w, _ = open(t, t.Context(), memory, func(o *sluice.Options) { o.Hooks = hooks })
	mustWrite(t, w, 5)
	require.NoError(t, w.Close())
	require.Equal(t, []string{"part 0 of 5 at 0, attempt 0", "done 0 of 5 at 0, attempt 1"}, story)
}

func event(what string, p sluice.PartEvent) string {
	return fmt.Sprintf("%s %d of %d at %d, attempt %d", what, p.Number, p.Size, p.Offset, p.Attempt)
}

// An upload can be ended and started again before its first attempt has begun.
func TestHooks_StartAPartOnceThoughItsUploadIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		var ended atomic.Bool
		b.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			if p.Number == 8 && !ended.Swap(true) {
				<-ctx.Done()
				return sluice.Receipt{}, ctx.Err()
			}
			time.Sleep(time.Second)
			return real()
		}
		var mu sync.Mutex
		started := map[int]int{}
		w, _ := open(t, t.Context(), b, func(o *sluice.Options) {
			o.Hooks = &sluice.Hooks{PartStarted: func(e sluice.PartEvent) {
				mu.Lock()
				defer mu.Unlock()
				started[e.Number]++
			}}
		})
		mustWrite(t, w, 20*part)
		require.NoError(t, w.Close())
		require.EqualValues(t, 1, w.Stats().Restarts)
		require.Len(t, started, 20)
		for number, n := range started {
			require.Equal(t, 1, n, "part %d", number)
		}
	})
}
