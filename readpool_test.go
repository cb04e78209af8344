package sluice_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// Readers and writers share a Pool, and each goroutine reads from one file and
// writes it to another: the smallest Pools are the ones that could deadlock.
func TestReader_CopiesOnOneSmallPoolEnd(t *testing.T) {
	for _, pages := range []int{2, 3, 4, 5, 7, 8, 13, 24} {
		for _, copies := range []int{1, 2, 5, 13} {
			t.Run(fmt.Sprint(pages, "pages", copies, "copies"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pool, err := sluice.NewPool(int64(pages)*page, page)
					require.NoError(t, err)
					data := testutil.Content(20*part + 3)
					l := smallLimits()
					from := stored(t, data, memorybackend.Options{Limits: &l})
					from.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
						time.Sleep(time.Duration(1+r.Offset%7) * time.Millisecond)
						return real()
					}
					to := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: 3 * time.Millisecond})
					var group sync.WaitGroup
					for i := range copies {
						group.Go(func() {
							time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
							name := fmt.Sprint(i)
							_, err := sluice.Upload(t.Context(), to, name, &sluice.Options{Pool: pool}, func(w io.Writer) error {
								_, err := sluice.Download(t.Context(), from, "f", w, &sluice.ReadOptions{Pool: pool, RangeSize: part})
								return err
							})
							require.NoError(t, err)
							require.True(t, bytes.Equal(data, readBack(t, to, name)))
						})
					}
					group.Wait()
					require.Zero(t, pool.InUse())
				})
			})
		}
	}
}

// One writer takes several files in turn, as an archive does, while others are
// in the middle of theirs.
func TestReader_ArchivesOnOneSmallPoolEnd(t *testing.T) {
	for pages := 2; pages <= 16; pages += 2 {
		synctest.Test(t, func(t *testing.T) {
			pool, err := sluice.NewPool(int64(pages)*page, page)
			require.NoError(t, err)
			data := testutil.Content(5*part + 3)
			from := stored(t, data, memorybackend.Options{})
			to := store(smallLimits())
			var group sync.WaitGroup
			for i := range 7 {
				group.Go(func() {
					_, err := sluice.Upload(t.Context(), to, fmt.Sprint(i), &sluice.Options{Pool: pool}, func(w io.Writer) error {
						for range 4 {
							if _, err := io.WriteString(w, "head"); err != nil {
								return err
							}
							time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
							if _, err := sluice.Download(t.Context(), from, "f", w, &sluice.ReadOptions{Pool: pool}); err != nil {
								return err
							}
						}
						return nil
					})
					require.NoError(t, err)
				})
			}
			group.Wait()
			require.Zero(t, pool.InUse())
		})
	}
}

func TestPool_ReadersHoldAtMostAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := sluice.NewPool(64*page, page)
		require.NoError(t, err)
		s := storedPlain(t, testutil.Content(1000*part), memorybackend.Options{})
		var readers []*sluice.LargeFileReader
		for range 20 {
			readers = append(readers, newReader(t, t.Context(), s, &sluice.ReadOptions{Pool: pool, RangeSize: page}))
			synctest.Wait()
			require.LessOrEqual(t, pool.InUse(), int64(16*page))
		}
		require.EqualValues(t, 16*page, pool.InUse())
		for i, r := range readers { // those without pages too
			n, err := io.ReadFull(r, make([]byte, 10*part))
			require.NoError(t, err, i)
			require.Equal(t, 10*part, n)
		}
		for _, r := range readers {
			require.NoError(t, r.Close())
		}
		require.Zero(t, pool.InUse())
	})
}

// What readers hold and do not deliver keeps no writer from its largest part.
func TestPool_WritersDoNotWaitForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := sluice.NewPool(16*page, page)
		require.NoError(t, err)
		from := storedPlain(t, testutil.Content(100*part), memorybackend.Options{})
		var readers []*sluice.LargeFileReader
		for range 4 {
			readers = append(readers, newReader(t, t.Context(), from, &sluice.ReadOptions{Pool: pool, RangeSize: page}))
		}
		synctest.Wait()
		require.EqualValues(t, 4*page, pool.InUse())
		to := store(smallLimits())
		_, err = sluice.Upload(t.Context(), to, "g", &sluice.Options{Pool: pool, PartSize: 8 * page}, writeAll(testutil.Content(50*part)))
		require.NoError(t, err)
		for _, r := range readers {
			require.NoError(t, r.Close())
		}
	})
}

// Writers that take every page that comes home leave a reader its share.
func TestPool_ReadersGetPagesWhileWritersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := sluice.NewPool(16*page, page)
		require.NoError(t, err)
		to := memorybackend.New(&memorybackend.Options{Limits: new(smallLimits()), Latency: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				_, _ = sluice.Upload(ctx, to, fmt.Sprint(i), &sluice.Options{Pool: pool, PartSize: part}, writeAll(testutil.Content(10_000*part)))
			})
		}
		time.Sleep(10 * time.Second)
		r := newReader(t, t.Context(), storedPlain(t, testutil.Content(100*part), memorybackend.Options{}),
			&sluice.ReadOptions{Pool: pool, RangeSize: part})
		_, err = io.ReadFull(r, make([]byte, 1))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.NotZero(t, r.Stats().Memory)
		require.NoError(t, r.Close())
		cancel()
		group.Wait()
		require.Zero(t, pool.InUse())
	})
}
