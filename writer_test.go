package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestEverySizeArrivesWhole(t *testing.T) {
	feed := map[string]func(io.Writer, []byte) error{
		"Write": func(w io.Writer, data []byte) error {
			_, err := w.Write(data)
			return err
		},
		"Write of single bytes": func(w io.Writer, data []byte) error {
			for i := range data {
				if n, err := w.Write(data[i : i+1]); n != 1 || err != nil {
					return fmt.Errorf("%d, %w", n, err)
				}
			}
			return nil
		},
		"ReadFrom": func(w io.Writer, data []byte) error {
			n, err := w.(io.ReaderFrom).ReadFrom(bytes.NewReader(data))
			if n != int64(len(data)) {
				return fmt.Errorf("ReadFrom took %d bytes of %d: %w", n, len(data), err)
			}
			return err
		},
		"ReadFrom single bytes": func(w io.Writer, data []byte) error {
			_, err := w.(io.ReaderFrom).ReadFrom(iotest.OneByteReader(bytes.NewReader(data)))
			return err
		},
		"ReadFrom halves": func(w io.Writer, data []byte) error {
			_, err := w.(io.ReaderFrom).ReadFrom(iotest.HalfReader(bytes.NewReader(data)))
			return err
		},
		"ReadFrom data with EOF": func(w io.Writer, data []byte) error {
			_, err := w.(io.ReaderFrom).ReadFrom(iotest.DataErrReader(bytes.NewReader(data)))
			return err
		},
		"mixed": func(w io.Writer, data []byte) error {
			rng := rand.New(rand.NewPCG(3, uint64(len(data))))
			for len(data) > 0 {
				n := 1 + rng.IntN(min(len(data), 3*part))
				var err error
				if rng.IntN(2) == 0 {
					_, err = w.Write(data[:n])
				} else {
					_, err = w.(io.ReaderFrom).ReadFrom(bytes.NewReader(data[:n]))
				}
				if err != nil {
					return err
				}
				data = data[n:]
			}
			return nil
		},
	}
	sizes := []int{0, 1, page - 1, page, page + 1, part - 1, part, part + 1, 5000}
	for n := 2; n <= 5; n++ {
		sizes = append(sizes, n*part-1, n*part, n*part+1)
	}
	for how, feed := range feed {
		t.Run(how, func(t *testing.T) {
			for _, size := range sizes {
				b, data := store(smallLimits()), testutil.Content(size)
				o := smallOptions()
				o.Concurrency = 1 // more would share the last part
				f, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error { return feed(w, data) })
				require.NoError(t, err, "%d bytes", size)
				require.Equal(t, data, readBack(t, b, "f"), "%d bytes", size)
				require.Empty(t, b.Leftovers(""))
				want := (size + part - 1) / part
				if size <= part {
					want = 0 // one call
				}
				if size < 5000 {
					require.Equal(t, want, f.Parts, "%d bytes", size)
				}
				require.Equal(t, "f", f.Name)
				require.EqualValues(t, size, f.Size)
				require.NotEmpty(t, f.ID)
			}
		})
	}
}

func TestNewSendsNothingAndStartsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := store(smallLimits())
		w, err := sluice.New(t.Context(), b, "f", smallOptions())
		require.NoError(t, err) // a goroutine would keep the bubble from ending
		requireNothingLeft(t, b)
		require.Zero(t, w.Stats().Memory)
		w.Abort(nil)
		requireNothingLeft(t, b)
	})
}

func TestAFullPartStaysUntilOneMoreByteIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := store(smallLimits())
		w, err := sluice.New(t.Context(), b, "f", smallOptions())
		require.NoError(t, err)
		_, err = w.ReadFrom(bytes.NewReader(testutil.Content(part)))
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, b.Leftovers(""), "nothing is started for a stream that may fit one call")
		_, err = w.Write([]byte{1})
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, b.Leftovers(""), 1)
		require.NoError(t, w.Close())
		require.Equal(t, 2, w.File().Parts)
	})
}

func TestATinyStreamHoldsOnePageAndAnEmptyOneNone(t *testing.T) {
	b := memorybackend.New(nil)
	pool, err := sluice.NewPool(0, 0)
	require.NoError(t, err)
	w, err := sluice.New(t.Context(), b, "f", &sluice.Options{Pool: pool})
	require.NoError(t, err)
	_, err = w.ReadFrom(bytes.NewReader(nil))
	require.NoError(t, err)
	require.Zero(t, pool.InUse())
	_, err = w.ReadFrom(bytes.NewReader(testutil.Content(4096)))
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, pool.InUse())
	require.EqualValues(t, 1<<20, w.Stats().Memory)
	require.NoError(t, w.Close())
	require.Zero(t, pool.InUse())
}

func TestAStreamOfExactlyOnePageClaimsNothing(t *testing.T) {
	pool, err := sluice.NewPool(8*page, page)
	require.NoError(t, err)
	w, err := sluice.New(t.Context(), store(smallLimits()), "f", &sluice.Options{Pool: pool, PartSize: part})
	require.NoError(t, err)
	_, err = w.ReadFrom(bytes.NewReader(testutil.Content(page)))
	require.NoError(t, err)
	require.EqualValues(t, page, pool.InUse())
	require.NoError(t, w.Close())
}

func TestAFailedSourceNeverBecomesAFile(t *testing.T) {
	for _, size := range []int{0, 1, part, part + 1, 10 * part} {
		b, cause := store(smallLimits()), errors.New("disk on fire")
		w, err := sluice.New(t.Context(), b, "f", smallOptions())
		require.NoError(t, err)
		_, err = w.ReadFrom(io.MultiReader(bytes.NewReader(testutil.Content(size)), iotest.ErrReader(cause)))
		require.ErrorIs(t, err, cause)
		require.EqualError(t, err, `sluice: read "f": disk on fire`)
		_, err = w.Write([]byte{1})
		require.ErrorIs(t, err, cause, "it sticks")
		require.ErrorIs(t, w.Close(), cause)
		require.Zero(t, w.File())
		requireNothingLeft(t, b)
	}
}

func TestATimeoutOfTheSourceIsAFailureToo(t *testing.T) {
	b := store(smallLimits())
	_, err := sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
		_, err := io.Copy(w, iotest.TimeoutReader(bytes.NewReader(testutil.Content(10_000))))
		return err
	})
	require.ErrorIs(t, err, iotest.ErrTimeout)
	requireNothingLeft(t, b)
}

func TestASourceThatMisbehavesIsAFailure(t *testing.T) {
	for _, c := range []struct {
		name string
		r    testutil.ReaderFunc
		want string
	}{
		{"too many bytes", func(p []byte) (int, error) { return len(p) + 1, nil }, `sluice: read "f": source returned 4097 bytes from a Read of 4096`},
		{"negative", func(p []byte) (int, error) { return -1, nil }, `sluice: read "f": source returned -1 bytes from a Read of 4096`},
		{"no progress", func(p []byte) (int, error) { return 0, nil }, `sluice: read "f": ` + io.ErrNoProgress.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := store(smallLimits())
			w, err := sluice.New(t.Context(), b, "f", smallOptions())
			require.NoError(t, err)
			_, err = w.ReadFrom(c.r)
			require.EqualError(t, err, c.want)
			require.EqualError(t, w.Close(), c.want)
			requireNothingLeft(t, b)
		})
	}
}

func TestASourceThatPanicsFailsTheStream(t *testing.T) {
	b := store(smallLimits())
	pool, err := sluice.NewPool(8*page, page)
	require.NoError(t, err)
	w, err := sluice.New(t.Context(), b, "f", &sluice.Options{Pool: pool})
	require.NoError(t, err)
	_, err = w.Write([]byte{1})
	require.NoError(t, err)
	require.PanicsWithValue(t, "boom", func() {
		_, _ = w.ReadFrom(testutil.ReaderFunc(func([]byte) (int, error) { panic("boom") }))
	})
	require.EqualError(t, w.Close(), `sluice: read "f": source panicked in Read`)
	requireNothingLeft(t, b)
	require.Zero(t, pool.InUse())
}

func TestAfterCloseWriteIsErrClosedAndCloseRepeatsItself(t *testing.T) {
	b := store(smallLimits())
	w, err := sluice.New(t.Context(), b, "f", smallOptions())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	n, err := w.Write([]byte{1})
	require.Zero(t, n)
	require.ErrorIs(t, err, sluice.ErrClosed)
	require.EqualError(t, err, `sluice: write "f": writer is closed`)
	_, err = w.ReadFrom(bytes.NewReader([]byte{1}))
	require.ErrorIs(t, err, sluice.ErrClosed)
	w.Abort(errors.New("too late"))
	require.NoError(t, w.Close())
	require.Equal(t, []string{"f"}, b.Names())
}

func TestAfterAbortEverythingIsErrAbortedAndTheCause(t *testing.T) {
	for _, size := range []int{0, part, 10 * part} {
		b, cause := store(smallLimits()), errors.New("changed my mind")
		w, err := sluice.New(t.Context(), b, "f", smallOptions())
		require.NoError(t, err)
		_, err = w.Write(testutil.Content(size))
		require.NoError(t, err)
		w.Abort(cause)
		w.Abort(errors.New("second"))
		for _, err := range []error{
			w.Close(), w.Close(),
			func() error { _, err := w.Write(nil); return err }(),
			func() error { _, err := w.ReadFrom(bytes.NewReader(nil)); return err }(),
		} {
			require.ErrorIs(t, err, sluice.ErrAborted)
			require.ErrorIs(t, err, cause)
			require.EqualError(t, err, `sluice: upload "f": aborted: changed my mind`)
		}
		requireNothingLeft(t, b)
	}
}

func TestTheCallersContextEndsTheStreamWithItsCause(t *testing.T) {
	b, cause := store(smallLimits()), errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := sluice.New(ctx, b, "f", smallOptions())
	require.NoError(t, err)
	_, err = w.Write(testutil.Content(10 * part))
	require.NoError(t, err)
	cancel(cause)
	_, err = w.Write([]byte{1})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	require.EqualError(t, w.Close(), `sluice: upload "f": context canceled: shutting down`)
	requireNothingLeft(t, b)
}

func TestADeadlineIsTestedForAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smallLimits()
		b := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := sluice.Upload(ctx, b, "f", smallOptions(), func(w io.Writer) error {
			_, err := w.Write(testutil.Content(100 * part))
			return err
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, `sluice: upload "f": context deadline exceeded`)
		requireNothingLeft(t, b)
	})
}

func TestKeepLeavesTheLargeFileAndNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cause := store(smallLimits()), errors.New("enough")
		o := smallOptions()
		o.KeepOnFailure = true
		w, err := sluice.New(t.Context(), b, "f", o)
		require.NoError(t, err)
		_, err = w.Write(testutil.Content(4 * part))
		require.NoError(t, err)
		synctest.Wait()
		w.Abort(cause)
		left := b.Leftovers("")
		require.Len(t, left, 1)
		var e *sluice.Error
		require.ErrorAs(t, w.Close(), &e)
		require.Equal(t, left[0].ID, e.LargeFile)
		require.EqualError(t, e, `sluice: upload "f": aborted: enough; large file `+e.LargeFile+` is kept unfinished`)
	})
}

// Done is closed a moment before Close returns.
func TestWriteAfterDoneIsErrClosed(t *testing.T) {
	for range 3000 {
		w, err := sluice.New(t.Context(), store(smallLimits()), "f", smallOptions())
		require.NoError(t, err)
		written := make(chan error)
		go func() {
			<-w.Done()
			_, err := w.Write([]byte{1})
			written <- err
		}()
		require.NoError(t, w.Close())
		require.ErrorIs(t, <-written, sluice.ErrClosed)
	}
}

func TestUploadAbortsOnErrorAndPanic(t *testing.T) {
	b, cause := store(smallLimits()), errors.New("pg_dump: exit status 1")
	f, err := sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
		_, _ = w.Write(testutil.Content(5 * part))
		return cause
	})
	require.Zero(t, f)
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, `sluice: upload "f": aborted: pg_dump: exit status 1`)
	requireNothingLeft(t, b)

	require.PanicsWithValue(t, "boom", func() {
		_, _ = sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
			_, _ = w.Write(testutil.Content(5 * part))
			panic("boom")
		})
	})
	requireNothingLeft(t, b)
}

func TestUploadDoesNotLetTheFunctionCloseTheStream(t *testing.T) {
	_, err := sluice.Upload(t.Context(), store(smallLimits()), "f", nil, func(w io.Writer) error {
		_, closer := w.(io.Closer)
		require.False(t, closer)
		return nil
	})
	require.NoError(t, err)
}
