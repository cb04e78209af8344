package sluice_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// sideBySide sends streams of size bytes side by side, and returns how many
// bytes of each the store acknowledged between the time when it had a part of
// every one and the end of the first.
func sideBySide(t *testing.T, size int64, writers []*sluice.LargeFileWriter) []int64 {
	acknowledged := func() (all []int64) {
		for _, w := range writers {
			all = append(all, w.Stats().Acknowledged)
		}
		return all
	}
	var (
		group  sync.WaitGroup
		first  sync.Once
		ended  atomic.Bool
		finish []int64
	)
	errs := make([]error, len(writers))
	for i, w := range writers {
		group.Go(func() {
			_, _ = io.Copy(w, io.LimitReader(endless{}, size)) // Close says whether it failed
			errs[i] = w.Close()
			first.Do(func() {
				finish = acknowledged()
				ended.Store(true)
			})
		})
	}
	start := acknowledged()
	for !ended.Load() && slices.Contains(start, 0) {
		time.Sleep(time.Millisecond)
		start = acknowledged()
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	for i, n := range start {
		finish[i] -= n
	}
	return finish
}

func TestWritersOnOnePoolAdvanceAtOnePace(t *testing.T) {
	const part = 5 * page
	for _, c := range []struct{ writers, memory int }{{2, 16}, {8, 6}, {8, 16}, {8, 40}, {64, 6}, {64, 25}} {
		t.Run(fmt.Sprintf("%d writers in memory for %d parts", c.writers, c.memory), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newLink(10*time.Millisecond, 100*time.Millisecond, 0, 0)
				k.lanes = make(chan struct{}, 1000)
				memory := int64(c.memory) * part
				pool, err := sluice.NewPool(memory, page)
				require.NoError(t, err)
				var mu sync.Mutex
				most := int64(0)
				look := func(sluice.PartEvent) {
					mu.Lock()
					defer mu.Unlock()
					most = max(most, pool.InUse())
				}
				random := rand.New(rand.NewPCG(1, uint64(c.writers)))
				var writers []*sluice.LargeFileWriter
				for range c.writers {
					time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
					w, err := sluice.New(t.Context(), k, "f", &sluice.Options{
						Pool: pool, PartSize: part, MaxSize: 100 * part, Concurrency: 4, Hooks: &sluice.Hooks{PartStarted: look},
					})
					require.NoError(t, err)
					writers = append(writers, w)
				}
				advanced := sideBySide(t, 100*part, writers)
				require.GreaterOrEqual(t, float64(slices.Min(advanced)), 0.75*float64(slices.Max(advanced)), "%v", advanced)
				require.LessOrEqual(t, most, memory)
				require.Greater(t, most, memory*8/10)
			})
		})
	}
}

// A page that waits beside a claim is missing where parts are sent.
func TestTheMemoryOfManyWritersIsMostlyOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const own, parts, memory = 5 * page, 100, 25 // of their own size
		k := newLink(0, 100*time.Millisecond, 0, 0)
		k.lanes = make(chan struct{}, 1000)
		pool, err := sluice.NewPool(memory*own, page)
		require.NoError(t, err)
		var writers []*sluice.LargeFileWriter
		for range 64 {
			w, err := sluice.New(t.Context(), k, "f", &sluice.Options{Pool: pool, PartSize: own, MaxSize: parts * own})
			require.NoError(t, err)
			writers = append(writers, w)
		}
		start := time.Now()
		sideBySide(t, parts*own, writers)
		alone := 64 * parts * k.perPart * own / part // one after the other
		require.Greater(t, float64(alone)/float64(time.Since(start)), 0.82*memory, "parts at once")
	})
}
