package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestReader_ResumesABrokenRangeAtItsByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(10 * part)
		s := storedPlain(t, data, memorybackend.Options{})
		broken := errors.New("connection broken")
		var retries atomic.Int32
		s.readRange = func(ctx context.Context, f sluice.StoredFile, r *sluice.Range, real func() error) error {
			offset, size := r.Attempt()
			_, err := r.Write(data[offset : offset+size/3])
			require.NoError(t, err)
			if err := r.Backoff(ctx, broken, time.Second); err != nil {
				return err
			}
			return real()
		}
		o := smallRead()
		o.Hooks = &sluice.Hooks{PartRetrying: func(p sluice.PartEvent, err error, wait time.Duration) {
			retries.Add(1)
			require.Equal(t, 1, p.Attempt)
			require.Equal(t, broken, err)
			require.Equal(t, time.Second, wait)
		}}
		r := newReader(t, t.Context(), s, o)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.EqualValues(t, 10, retries.Load())
		require.Equal(t, 10, r.Stats().Retries)
		require.EqualValues(t, len(data), r.Stats().Received)
		require.Zero(t, r.Stats().Repeated)
	})
}

func TestReader_CongestionMakesRangesFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storedPlain(t, testutil.Content(40*part), memorybackend.Options{})
		var r *sluice.LargeFileReader
		begun := make(chan struct{})
		var mu sync.Mutex
		calls, least := 0, 4
		s.readRange = func(ctx context.Context, _ sluice.StoredFile, rng *sluice.Range, real func() error) error {
			<-begun
			time.Sleep(time.Second)
			mu.Lock()
			calls++
			rejected := calls > 3 && calls <= 20
			least = min(least, r.Stats().Concurrency)
			mu.Unlock()
			if rejected {
				if err := rng.Backoff(ctx, sluice.ErrSlowDown, time.Millisecond); err != nil {
					return err
				}
			}
			return real()
		}
		r = newReader(t, t.Context(), s, smallRead())
		close(begun)
		require.Equal(t, 4, r.Stats().Concurrency)
		_, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, 17, r.Stats().Retries)
		require.Less(t, least, 4)
	})
}

// damage changes the i-th byte of what the source brings.
func damage(r *sluice.Range, data []byte, times func() bool, real func() error) error {
	if !times() {
		return real()
	}
	offset, size := r.Attempt()
	bad := bytes.Clone(data[offset : offset+size])
	bad[len(bad)/2] ^= 1
	_, err := r.Write(bad)
	return err
}

func TestReader_FetchesADamagedPartAgainOverAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(10*part + 5)
		s := stored(t, data, memorybackend.Options{})
		s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
			return damage(r, data, func() bool { return r.Offset == 3*part && !r.Fresh }, real)
		}
		r := newReader(t, t.Context(), s, smallRead())
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.EqualValues(t, part, r.Stats().Repeated)
		require.Equal(t, 1, r.Stats().Retries)
	})
}

func TestReader_DeliversNoByteOfADamagedPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(10*part + 5)
		s := stored(t, data, memorybackend.Options{})
		s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
			return damage(r, data, func() bool { return r.Offset == 3*part }, real)
		}
		r := newReader(t, t.Context(), s, smallRead())
		got, err := io.ReadAll(r)
		require.ErrorIs(t, err, sluice.ErrDamaged)
		require.ErrorContains(t, err, `verify part 4 of "f" (2 attempts): file is damaged: part 4 of 11: the bytes that came have the sha256`)
		require.LessOrEqual(t, len(got), 3*part)
		require.Equal(t, data[:len(got)], got)
	})
}

// A part that does not fit in memory is verified as it is delivered.
func TestReader_HoldsTheLastBytesOfALargePartUntilItIsVerified(t *testing.T) {
	l := smallLimits()
	for _, bad := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			data := testutil.Content(20 * part)
			b := store(l)
			o := smallOptions()
			o.MemoryLimit, o.PartSize = 100*part, 10*part
			_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(data))
			require.NoError(t, err)
			s := &source{Backend: b}
			s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
				return damage(r, data, func() bool { return bad && r.Offset == 12*part }, real)
			}
			r := newReader(t, t.Context(), s, smallRead())
			got, err := io.ReadAll(r)
			if !bad {
				require.NoError(t, err)
				require.Equal(t, data, got)
				return
			}
			require.ErrorIs(t, err, sluice.ErrDamaged)
			require.Less(t, len(got), 20*part)
		})
	}
}

func TestReader_VerifiesTheWholeFileBeforeEOF(t *testing.T) {
	for _, n := range []int{0, 5, 10 * part} {
		synctest.Test(t, func(t *testing.T) {
			data := testutil.Content(n)
			l := *plain()
			l.WholeDigests = []sluice.Algorithm{memorybackend.SHA256()}
			b := memorybackend.New(&memorybackend.Options{Limits: &l})
			sums := sluice.Digests{{Name: "sha256", Sum: sum256(data)}}
			_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "f", Size: int64(n)}, sluice.NewPart(0, data, sums))
			require.NoError(t, err)
			f, err := b.Stat(t.Context(), "f")
			require.NoError(t, err)
			f.Digests[0].Sum[3] ^= 1
			o := smallRead()
			o.Version = &f
			_, err = io.ReadAll(newReader(t, t.Context(), b, o))
			require.ErrorIs(t, err, sluice.ErrDamaged)
			_, err = io.ReadAll(newReader(t, t.Context(), b, smallRead()))
			require.NoError(t, err)
		})
	}
}

func TestReader_NeverTakesAShortRangeForWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(10 * part)
		s := storedPlain(t, data, memorybackend.Options{})
		s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, _ func() error) error {
			offset, size := r.Attempt()
			_, err := r.Write(data[offset : offset+size-1])
			return err
		}
		got, err := io.ReadAll(newReader(t, t.Context(), s, smallRead()))
		require.ErrorContains(t, err, "the source returned 31 of 32 bytes without an error")
		require.Equal(t, data[:len(got)], got)
	})
}

func TestReader_AReplacedFileIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(100 * part)
		s := stored(t, data, memorybackend.Options{})
		r := newReader(t, t.Context(), s, smallRead())
		synctest.Wait()
		upload(t, s.Backend, data[:99*part])
		_, err := io.ReadAll(r)
		require.ErrorIs(t, err, sluice.ErrReplaced)
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again)

		r = newReader(t, t.Context(), s, smallRead())
		synctest.Wait()
		f, err := s.Stat(t.Context(), "f")
		require.NoError(t, err)
		require.NoError(t, s.Remove(t.Context(), f))
		_, err = io.ReadAll(r)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = sluice.NewReader(t.Context(), s, "f", nil)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestReader_ASourceThatEndsItsGoroutineFailsTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storedPlain(t, testutil.Content(10*part), memorybackend.Options{})
		s.readRange = func(_ context.Context, _ sluice.StoredFile, _ *sluice.Range, _ func() error) error {
			runtime.Goexit()
			return nil
		}
		_, err := io.ReadAll(newReader(t, t.Context(), s, smallRead()))
		require.Error(t, err)
	})
}

func TestReader_FetchesAStragglerAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(400_000)
		s := &source{Backend: slow(t, data, memorybackend.Options{Bandwidth: 1000})}
		var once atomic.Bool
		s.readRange = func(ctx context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
			if r.Offset == 100_000 && !once.Swap(true) {
				offset, _ := r.Attempt()
				if _, err := r.Write(data[offset : offset+100]); err != nil {
					return err
				}
				return until(ctx)
			}
			return real()
		}
		began := time.Now()
		o := &sluice.ReadOptions{MemoryLimit: 160_000, PageSize: 1000, RangeSize: 10_000, Concurrency: 8}
		r := newReader(t, t.Context(), s, o)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.Equal(t, 1, r.Stats().Restarts)
		require.EqualValues(t, len(data), r.Stats().Received)
		require.Zero(t, r.Stats().Repeated, "it was resumed")
		require.Less(t, time.Since(began), 120*time.Second)
	})
}
