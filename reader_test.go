package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// source is a memorybackend of which ReadRange is replaced. The replacement gets
// the real call.
type source struct {
	*memorybackend.Backend
	readRange func(ctx context.Context, f sluice.StoredFile, r *sluice.Range, real func() error) error
}

func (s *source) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	real := func() error { return s.Backend.ReadRange(ctx, f, r) }
	if s.readRange != nil {
		return s.readRange(ctx, f, r, real)
	}
	return real()
}

// stored returns a store that holds data as "f", in parts of 32 bytes.
func stored(t testing.TB, data []byte, o memorybackend.Options) *source {
	t.Helper()
	if o.Limits == nil {
		l := smallLimits()
		o.Limits = &l
	}
	b := memorybackend.New(&o)
	upload(t, b, data)
	return &source{Backend: b}
}

func upload(t testing.TB, b sluice.Backend, data []byte) {
	t.Helper()
	_, err := sluice.Upload(t.Context(), b, "f", smallOptions(), writeAll(data))
	require.NoError(t, err)
}

// plain is the limits of a store that keeps no digests and knows no parts: it
// takes everything in one call.
func plain() *sluice.Limits { return &sluice.Limits{MaxSingle: 1 << 30, MinParts: 2} }

// storedPlain returns a store without digests that holds data as "f".
func storedPlain(t testing.TB, data []byte, o memorybackend.Options) *source {
	t.Helper()
	o.Limits = plain()
	b := memorybackend.New(&o)
	_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "f", Size: int64(len(data))}, sluice.NewPart(0, data, nil))
	require.NoError(t, err)
	return &source{Backend: b}
}

func smallRead() *sluice.ReadOptions {
	return &sluice.ReadOptions{MemoryLimit: 8 * page, PageSize: page, RangeSize: part}
}

func newReader(t testing.TB, ctx context.Context, s sluice.Source, o *sluice.ReadOptions) *sluice.LargeFileReader {
	t.Helper()
	r, err := sluice.NewReader(ctx, s, "f", o)
	require.NoError(t, err)
	return r
}

func TestReader_DeliversEveryLengthInOrder(t *testing.T) {
	for _, n := range []int{0, 1, page - 1, page, page + 1, part - 1, part, part + 1, 2 * part, 10*part + 3, 100 * part} {
		data := testutil.Content(n)
		for name, s := range map[string]*source{
			"parts": stored(t, data, memorybackend.Options{}),
			"plain": storedPlain(t, data, memorybackend.Options{}),
		} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newReader(t, t.Context(), s, smallRead())
					got, err := io.ReadAll(r)
					require.NoError(t, err)
					require.Equal(t, data, append([]byte{}, got...))
					require.EqualValues(t, n, r.Stats().Delivered)
					require.Zero(t, r.Stats().Memory)
					_, err = r.Read(make([]byte, 1))
					require.Equal(t, io.EOF, err)
					require.NoError(t, r.Close())
				})
				var b bytes.Buffer
				f, err := sluice.Download(t.Context(), s, "f", &b, smallRead())
				require.NoError(t, err)
				require.EqualValues(t, n, f.Size)
				require.True(t, bytes.Equal(data, b.Bytes()))
				require.NoError(t, iotest.TestReader(newReader(t, t.Context(), s, smallRead()), data))
			})
		}
	}
}

// atWriter is memory that ranges are written to.
type atWriter struct {
	mu   sync.Mutex
	data []byte
	offs []int64
}

func (w *atWriter) WriteAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offs = append(w.offs, off)
	return copy(w.data[off:], p), nil
}

func TestDownloadAt_WritesRangesAsTheyArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(20*part + 5)
		s := stored(t, data, memorybackend.Options{})
		s.readRange = func(_ context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
			if r.Offset == 0 {
				time.Sleep(time.Second)
			}
			return real()
		}
		w := &atWriter{data: make([]byte, len(data))}
		o := smallRead()
		o.Concurrency = 4
		o.Digests = []sluice.Algorithm{memorybackend.SHA256()}
		f, err := sluice.DownloadAt(t.Context(), s, "f", w, o)
		require.NoError(t, err)
		require.Equal(t, data, w.data)
		require.NotZero(t, w.offs[0], "the first range came last")
		require.Equal(t, sum256(data), f.Digests.Get("sha256"))
	})
}

func TestReader_FetchesRangesConcurrently(t *testing.T) {
	const perSecond = 1000
	for _, concurrency := range []int{1, 2, 4, 8, 0} {
		synctest.Test(t, func(t *testing.T) {
			data := testutil.Content(64_000)
			s := storedPlain(t, data, memorybackend.Options{})
			s.Backend = slow(t, data, memorybackend.Options{Bandwidth: perSecond})
			began := time.Now()
			o := &sluice.ReadOptions{MemoryLimit: 16_000, PageSize: 100, RangeSize: 1000, Concurrency: concurrency}
			n, err := newReader(t, t.Context(), s, o).WriteTo(io.Discard)
			require.NoError(t, err)
			require.EqualValues(t, len(data), n)
			took := time.Since(began).Seconds()
			if concurrency == 0 { // 16 fit in memory, and at the beginning 4 are used
				require.Less(t, took, 1.8*64/16)
				return
			}
			require.InDelta(t, 64/concurrency, took, 0.1*64/float64(concurrency))
		})
	}
}

// slow returns a slow store that holds data as "f", uploaded in no time.
func slow(t *testing.T, data []byte, o memorybackend.Options) *memorybackend.Backend {
	t.Helper()
	o.Limits = plain()
	b := memorybackend.New(&o)
	_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "f", Size: int64(len(data))}, sluice.NewPart(0, data, nil))
	require.NoError(t, err)
	return b
}

func TestReader_DeliversTheFirstBytesAsTheyArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slow(t, testutil.Content(64_000), memorybackend.Options{Bandwidth: 1000})
		began := time.Now()
		r := newReader(t, t.Context(), s, &sluice.ReadOptions{MemoryLimit: 64_000, PageSize: 1000, RangeSize: 16_000})
		_, err := r.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Less(t, time.Since(began), time.Second)
		require.NoError(t, r.Close())
	})
}

func TestReader_ASlowCallerHoldsTheNetworkBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := testutil.Content(100 * part)
		r := newReader(t, t.Context(), storedPlain(t, data, memorybackend.Options{}), smallRead())
		buf := make([]byte, 7)
		for got := 0; got < len(data); {
			synctest.Wait()
			n, err := r.Read(buf)
			require.NoError(t, err)
			require.Equal(t, data[got:got+n], buf[:n])
			got += n
			s := r.Stats()
			require.LessOrEqual(t, s.Received-s.Delivered, int64(8*page))
			require.LessOrEqual(t, s.Memory, int64(8*page))
			time.Sleep(time.Second)
		}
		_, err := r.Read(buf)
		require.Equal(t, io.EOF, err)
		require.Greater(t, r.Stats().WaitCaller, 100*time.Second)
	})
}

func TestReader_LeavesNothing(t *testing.T) {
	cause := errors.New("enough")
	for name, end := range map[string]func(r *sluice.LargeFileReader, cancel context.CancelCauseFunc) error{
		"Close":   func(r *sluice.LargeFileReader, _ context.CancelCauseFunc) error { return r.Close() },
		"context": func(r *sluice.LargeFileReader, cancel context.CancelCauseFunc) error { cancel(cause); return nil },
		"failed write": func(r *sluice.LargeFileReader, _ context.CancelCauseFunc) error {
			_, err := r.WriteTo(fullDisk{})
			if err == nil {
				return errors.New("no error")
			}
			return nil
		},
	} {
		for _, before := range []int{0, 1, page, 3*part + 1} {
			for _, settle := range []bool{false, true} {
				t.Run(fmt.Sprint(name, before, settle), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						pool, err := sluice.NewPool(64*page, page)
						require.NoError(t, err)
						ctx, cancel := context.WithCancelCause(t.Context())
						defer cancel(nil)
						s := stored(t, testutil.Content(100*part), memorybackend.Options{})
						s.readRange = func(ctx context.Context, _ sluice.StoredFile, r *sluice.Range, real func() error) error {
							if r.Offset > 5*part {
								return until(ctx)
							}
							return real()
						}
						r := newReader(t, ctx, s, &sluice.ReadOptions{Pool: pool, RangeSize: part})
						_, err = io.ReadFull(r, make([]byte, before))
						require.NoError(t, err)
						if settle {
							synctest.Wait()
							require.NotZero(t, pool.InUse())
						}
						require.NoError(t, end(r, cancel))
						_, err = io.ReadAll(r)
						require.Error(t, err)
						if name == "context" {
							require.ErrorIs(t, err, cause)
							require.ErrorIs(t, err, context.Canceled)
						}
						require.NoError(t, r.Close())
						require.NoError(t, r.Close())
						require.Zero(t, pool.InUse())
						require.Zero(t, r.Stats().Memory)
					})
				})
			}
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestReader_CloseEndsAReadThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storedPlain(t, testutil.Content(10*part), memorybackend.Options{})
		s.readRange = func(ctx context.Context, _ sluice.StoredFile, _ *sluice.Range, _ func() error) error {
			return until(ctx)
		}
		r := newReader(t, t.Context(), s, smallRead())
		go func() { time.Sleep(time.Second); r.Close() }()
		_, err := io.ReadAll(r)
		require.ErrorIs(t, err, fs.ErrClosed)
	})
}

func TestReadOptions_AreChecked(t *testing.T) {
	s := storedPlain(t, nil, memorybackend.Options{})
	pool, err := sluice.NewPool(0, 0)
	require.NoError(t, err)
	for want, o := range map[string]*sluice.ReadOptions{
		"negative ReadOptions.RangeSize: -1":             {RangeSize: -1},
		"negative ReadOptions.Concurrency: -1":           {Concurrency: -1},
		"over 65536":                                     {Concurrency: 1 << 20},
		"a Pool has its own memory limit":                {Pool: pool, MemoryLimit: 1},
		"fewer than two pages":                           {MemoryLimit: 1},
		`algorithm "" lacks a name`:                      {Digests: []sluice.Algorithm{{}}},
		`ReadOptions.Version is of the file "g"`:         {Version: &sluice.StoredFile{File: sluice.File{Name: "g"}}},
		"the store returned parts of 1 bytes in all":     {Version: &sluice.StoredFile{File: sluice.File{Name: "f", Size: 2}, Receipts: []sluice.Receipt{{Size: 1}}}},
		"the store returned parts that do not add up to": {Version: &sluice.StoredFile{File: sluice.File{Name: "f"}, Receipts: []sluice.Receipt{{Size: 1}}}},
		"the store returned the size -1":                 {Version: &sluice.StoredFile{File: sluice.File{Name: "f", Size: -1}}},
	} {
		_, err := sluice.NewReader(t.Context(), s, "f", o)
		require.ErrorContains(t, err, want)
	}
}

// Where every connection has a latency and a cap, a reader that chooses its
// concurrency comes near to what its memory allows: all of it in ranges, each of
// which takes the latency and its bytes at the cap.
func TestReader_FillsItsMemoryWithRangesOverDistantConnections(t *testing.T) {
	const scale = 1 << 10 // of sizes, so that pages of 1 KiB stand for 1 MiB
	for _, megabytes := range []int64{5, 25, 100} {
		for _, latency := range []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d MB/s, %v", megabytes, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const memory, ranges = 128 << 20 / scale, 32
					bandwidth := megabytes * 1e6 / scale
					each := latency + time.Duration(float64(memory/ranges)/float64(bandwidth)*float64(time.Second))
					best := memory / each.Seconds()
					data := make([]byte, int(30*best))
					s := slow(t, data, memorybackend.Options{Bandwidth: bandwidth, Latency: latency})
					began := time.Now()
					_, err := sluice.Download(t.Context(), s, "f", io.Discard, &sluice.ReadOptions{MemoryLimit: memory, PageSize: 1 << 20 / scale})
					require.NoError(t, err)
					rate := float64(len(data)) / time.Since(began).Seconds()
					require.Greater(t, rate, 0.95*best)
				})
			})
		}
	}
}
