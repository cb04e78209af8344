package sluice_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// Whatever the options and the store's limits, New refuses them in words or
// settles on what keeps them.
func FuzzOptions(f *testing.F) {
	const b2 = 5_000_000
	f.Add("f", int64(0), int64(0), int64(0), int64(0), 0, 0, int64(0), int64(b2), int64(5e9), int64(10e12), 10_000, false)
	f.Add("f", int64(1e12), int64(0), int64(8<<20), int64(256<<20), 1<<20, 4, int64(-1), int64(b2), int64(5e9), int64(10e12), 10_000, true)
	f.Add("", int64(-1), int64(1<<62), int64(1), int64(1), 1, -1, int64(1), int64(0), int64(0), int64(0), 0, false)
	f.Add("\xff", int64(1<<62), int64(1<<62), int64(1<<62), int64(1<<62), 1<<30, 1<<30, int64(1<<62), int64(1<<62), int64(1<<62), int64(1<<62), 1<<30, false)
	f.Fuzz(func(t *testing.T, name string, size, maxSize, partSize, memory int64, pageSize, concurrency int, cleanup, minPart, maxPart, maxFile int64, maxParts int, plans bool) {
		if minPart < 0 || maxPart < 0 || maxFile < 0 || maxParts < 0 || maxPart > 0 && minPart > maxPart {
			return // no store has such limits
		}
		l := sluice.Limits{MinPart: minPart, MaxPart: maxPart, MinParts: 2, MaxParts: maxParts, MaxFile: maxFile, MaxSingle: 1 << 30, ServerSizesParts: plans}
		b := memorybackend.New(&memorybackend.Options{Limits: &l})
		w, err := sluice.New(t.Context(), b, name, &sluice.Options{
			Size: size, MaxSize: maxSize, PartSize: partSize, MemoryLimit: memory, PageSize: pageSize, Concurrency: concurrency,
			CleanupTimeout: time.Duration(cleanup),
		})
		if err != nil {
			var e *sluice.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "open", e.Op)
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		defer w.Abort(nil)
		s := w.Settings()
		require.Positive(t, s.MaxStreamSize)
		require.GreaterOrEqual(t, s.Concurrency, 1)
		require.Positive(t, s.PartSize)
		require.LessOrEqual(t, s.PartSize, s.MaxPart)
		require.LessOrEqual(t, s.MaxPart, s.MemoryLimit/2+int64(s.PageSize), "one part fills while another is sent")
		if maxPart > 0 {
			require.LessOrEqual(t, s.MaxPart, maxPart)
		}
		if size == 0 {
			require.GreaterOrEqual(t, s.PartSize, minPart)
		}
		if maxFile > 0 {
			require.LessOrEqual(t, s.MaxStreamSize, maxFile)
		}
		if memory > 0 {
			require.LessOrEqual(t, s.MemoryLimit, memory)
		}
	})
}

// FuzzWriter reads a program of operations from its input, a byte each.
func FuzzWriter(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{8, 1, 40, 2, 40, 3, 40, 4, 255, 5})
	f.Add([]byte{3, 0, 32, 0, 1, 1, 31, 1, 33, 6, 9, 0, 1})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) == 0 || len(program) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			b := faults.New(store(smallLimits()), faults.Fail(nil, faults.Nth(1+int(program[0]))))
			w, pool := open(t, t.Context(), b, nil)
			var want []byte
			for i := 1; i+1 < len(program); i += 2 {
				data := testutil.Content(int(program[i+1]))
				var n int64
				var err error
				switch program[i] % 8 {
				case 0, 1:
					var k int
					k, err = w.Write(data)
					n = int64(k)
				case 2, 3:
					n, err = w.ReadFrom(bytes.NewReader(data))
				case 4:
					n, err = w.ReadFrom(iotest.OneByteReader(bytes.NewReader(data)))
				case 5:
					_ = w.Close()
				case 6:
					w.Abort(nil)
				case 7:
					n, err = w.ReadFrom(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errors.New("source failed"))))
				}
				want = append(want, data[:n]...)
				require.LessOrEqual(t, pool.InUse(), pool.Limit())
				if err != nil {
					require.ErrorAs(t, err, new(*sluice.Error))
				}
			}
			err := w.Close()
			require.Zero(t, pool.InUse())
			for _, c := range b.Calls(faults.Cancel) {
				require.Error(t, err)
				_ = c
			}
			if err != nil {
				return
			}
			require.EqualValues(t, len(want), w.File().Size)
		})
	})
}
