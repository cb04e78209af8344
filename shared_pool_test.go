package sluice_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// One goroutine writes to several writers in turn, whose parts do not fit the
// Pool together.
func TestPool_FailsAWaitThatOnlyTheWaiterCouldEnd(t *testing.T) {
	for _, c := range []struct{ writers, pages int }{{3, 4}, {8, 2}, {9, 1}} {
		t.Run(fmt.Sprint(c.writers, " writers of parts of ", c.pages, " pages in 8"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := store(smallLimits())
				pool, err := sluice.NewPool(8*page, page)
				require.NoError(t, err)
				var writers []io.Writer
				var streams []*sluice.LargeFileWriter
				for i := range c.writers {
					w, err := sluice.New(t.Context(), b, fmt.Sprint(i), &sluice.Options{Pool: pool, PartSize: int64(c.pages * page)})
					require.NoError(t, err)
					defer w.Abort(nil)
					writers, streams = append(writers, w), append(streams, w)
				}
				began := time.Now()
				_, err = io.Copy(io.MultiWriter(writers...), io.LimitReader(endless{}, 100*page))
				if c.pages > 1 || c.writers > 8 {
					require.ErrorIs(t, err, sluice.ErrPoolBlocked)
					require.ErrorContains(t, err, "if one goroutine writes to several writers, give each a Pool of its own")
					require.Equal(t, 2*time.Hour, time.Since(began))
				}
				for _, w := range streams {
					w.Abort(nil)
				}
				require.Zero(t, pool.InUse())
			})
		})
	}
}

// A source that is silent for an hour in the middle of Read, and a store that
// takes an hour for a part, are slow, not stuck.
func TestPool_WaitsForSlowSourcesAndStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := store(smallLimits())
		pool, err := sluice.NewPool(4*page, page)
		require.NoError(t, err)
		var group errgroup.Group
		for i := range 3 {
			w, err := sluice.New(t.Context(), b, fmt.Sprint(i), &sluice.Options{Pool: pool, PartSize: 2 * page})
			require.NoError(t, err)
			group.Go(func() error {
				if _, err := io.Copy(w, &pausing{Reader: io.LimitReader(endless{}, 10*page), every: 5 * time.Hour}); err != nil {
					return err
				}
				return w.Close()
			})
		}
		require.NoError(t, group.Wait())
		require.Zero(t, pool.InUse())
	})
}

// pausing is a reader that is silent before every Read.
type pausing struct {
	io.Reader
	every time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	time.Sleep(p.every)
	return p.Reader.Read(b[:min(len(b), page)])
}
