package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestTheTailTakesAShareOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smallLimits()
		l.PartDigests = nil
		// A connection carries a page a second: a part of eight pages takes
		// eight seconds on one, and one on eight.
		b := memorybackend.New(&memorybackend.Options{Limits: &l, Bandwidth: page, Latency: 10 * time.Millisecond})
		w, err := sluice.New(t.Context(), b, "f", &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, MaxSize: 100 * 8 * page, Concurrency: 8})
		require.NoError(t, err)
		_, err = w.Write(testutil.Content(8*page + 8*page))
		require.NoError(t, err)
		time.Sleep(20 * time.Second) // the first part is stored
		last := time.Now()
		require.NoError(t, w.Close())
		require.Equal(t, time.Second+20*time.Millisecond, time.Since(last), "part / uploads / bandwidth + 2 latencies")
		require.Equal(t, 9, w.File().Parts)
		require.Equal(t, testutil.Content(16*page), readBack(t, b, "f"))
	})
}

func TestAnInterruptedTailIsResumed(t *testing.T) {
	for n := 1; n <= 9; n++ {
		synctest.Test(t, func(t *testing.T) {
			memory, data := store(smallLimits()), testutil.Content(15*page)
			o := func() *sluice.Options {
				return &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, Concurrency: 8, Resume: true, KeepOnFailure: true}
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
	l := sluice.Limits{ServerSizesParts: true}
	b := memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: 4 * page})
	f, err := sluice.Upload(context.Background(), b, "f", &sluice.Options{MemoryLimit: 8 * page, PageSize: page, Size: 8 * page}, writeAll(testutil.Content(8*page)))
	require.NoError(t, err)
	require.Equal(t, 2, f.Parts)
}

// A start that may have left a large file is named, though the stream had
// failed for another reason before.
func TestWhatAStartLeftBehindIsNamedBesideTheFirstFailure(t *testing.T) {
	broken := errors.New("source broke")
	lost := fmt.Errorf("%w (none is listed): start: connection reset", sluice.ErrLeftBehind)
	for name, c := range map[string]struct {
		start   error
		cleanup error
		text    string
	}{
		"lost":    {lost, lost, `sluice: upload "f": aborted: source broke; a large file may be left unfinished (none is listed): start: connection reset`},
		"refused": {errors.New("start: 403"), nil, `sluice: upload "f": aborted: source broke`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStub()
				b.start = func(ctx context.Context, _ func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
					<-ctx.Done()
					return nil, c.start
				}
				w, pool := open(t, t.Context(), b, nil)
				_, err := w.Write(testutil.Content(part + 1))
				require.NoError(t, err)
				synctest.Wait()
				w.Abort(broken)
				var e *sluice.Error
				require.ErrorAs(t, w.Close(), &e)
				require.ErrorIs(t, e, broken)
				require.Equal(t, c.cleanup, e.Cleanup)
				require.Equal(t, c.cleanup != nil, errors.Is(e, sluice.ErrLeftBehind))
				require.Empty(t, e.LargeFile)
				require.EqualError(t, e, c.text)
				require.Zero(t, pool.InUse())
			})
		})
	}
}

func TestAStartThatFailsFirstSaysOnceWhatItLeftBehind(t *testing.T) {
	b := newStub()
	b.start = func(context.Context, func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
		return nil, fmt.Errorf("%w: start: connection reset", sluice.ErrLeftBehind)
	}
	w, _ := open(t, t.Context(), b, nil)
	_, _ = w.Write(testutil.Content(part + 1))
	err := w.Close()
	require.ErrorIs(t, err, sluice.ErrLeftBehind)
	require.EqualError(t, err, `sluice: start "f": a large file may be left unfinished: start: connection reset`)
}

// What another stream left behind is its own affair.
func TestAnotherStreamsLeftoversAreNotThisOnes(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	b, began := newStub(), make(chan struct{})
	b.start = func(ctx context.Context, _ func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
		close(began)
		<-ctx.Done()
		return nil, fmt.Errorf("start: %w", context.Cause(ctx))
	}
	w, _ := open(t, ctx, b, nil)
	_, err := w.Write(testutil.Content(part + 1))
	require.NoError(t, err)
	<-began
	cancel(fmt.Errorf("%w: by the other one", sluice.ErrLeftBehind))
	require.ErrorContains(t, w.Close(), "by the other one")
	require.NotErrorIs(t, w.Close(), sluice.ErrLeftBehind)
}

// That a store ignored another stream's options, or that its outcome is unknown,
// says nothing of this one, even if the caller ends both with that as the cause.
func TestWriter_CancelsTheLargeFileThatAnotherStreamsOutcomeEnds(t *testing.T) {
	for _, what := range []error{sluice.ErrFinishUnknown, sluice.ErrOptionIgnored, sluice.ErrOptionUnverified, refusedOption{}} {
		for _, byAbort := range []bool{false, true} {
			for _, size := range []int{1, 3 * part} {
				ctx, cancel := context.WithCancelCause(t.Context())
				b := newStub()
				var w *sluice.LargeFileWriter
				cutOff := func(ctx context.Context) (sluice.File, error) { // nothing was sent
					if byAbort {
						go w.Abort(what)
					} else {
						cancel(what)
					}
					<-ctx.Done()
					return sluice.File{}, fmt.Errorf("not sent: %w", context.Cause(ctx))
				}
				b.finish = func(ctx context.Context, _ func() (sluice.File, error)) (sluice.File, error) { return cutOff(ctx) }
				b.uploadFile = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.File, error)) (sluice.File, error) {
					return cutOff(ctx)
				}
				w, _ = open(t, ctx, b, nil)
				mustWrite(t, w, size)
				err := w.Close()
				require.ErrorContains(t, err, what.Error())
				for _, of := range []error{sluice.ErrFinishUnknown, sluice.ErrOptionIgnored, sluice.ErrOptionUnverified} {
					require.NotErrorIs(t, err, of)
				}
				require.Empty(t, b.Leftovers(""))
				_, err = b.Stat(t.Context(), "f")
				require.ErrorIs(t, err, fs.ErrNotExist)
				if size > 1 {
					require.Equal(t, 1, b.cancels)
				}
			}
		}
	}
}

// refusedOption matches by a method of its own.
type refusedOption struct{}

func (refusedOption) Error() string        { return "the store has no lock" }
func (refusedOption) Is(target error) bool { return target == sluice.ErrOptionIgnored }

func TestWriter_KeepsNothingUnfinishedOfAFileThatIsStoredWithoutAnOption(t *testing.T) {
	for _, what := range []error{sluice.ErrOptionIgnored, sluice.ErrOptionUnverified, refusedOption{}} {
		for _, keep := range []bool{false, true} {
			for _, size := range []int64{part / 2, 3 * part} { // in one call, and in parts
				for _, aborted := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						b := newStub()
						var w *sluice.LargeFileWriter
						ignore := func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
							f, err := real()
							require.NoError(t, err)
							if aborted {
								go w.Abort(errors.New("meanwhile"))
								synctest.Wait()
							}
							return sluice.File{}, fmt.Errorf("%q is stored, but %w", f.Name, what)
						}
						b.finish = ignore
						b.uploadFile = func(ctx context.Context, _ *sluice.Part, real func() (sluice.File, error)) (sluice.File, error) {
							return ignore(ctx, real)
						}
						w, _ = open(t, t.Context(), b, func(o *sluice.Options) { o.KeepOnFailure = keep })
						mustWrite(t, w, int(size))
						err := w.Close()
						require.ErrorIs(t, err, what)
						require.NotContains(t, err.Error(), "kept unfinished")
						failure, ok := errors.AsType[*sluice.Error](err)
						require.True(t, ok)
						require.Empty(t, failure.LargeFile)
						require.Empty(t, b.Leftovers(""))
						require.Equal(t, err, w.Close())
						_, again := w.Write([]byte("x"))
						require.ErrorIs(t, again, what)
					})
				}
			}
		}
	}
}
