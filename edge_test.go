package sluice_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// These tests hold edges that were once wrong.

func TestAnotherStreamsFailureIsNotTakenForThisOnes(t *testing.T) {
	memory := store(smallLimits())
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(1)))
	g, ctx := errgroup.WithContext(t.Context())
	o := smallOptions()
	o.KeepOnFailure = true
	var second error
	g.Go(func() error {
		_, err := sluice.Upload(ctx, b, "first", o, writeAll(testutil.Content(10*part)))
		return err
	})
	g.Go(func() error {
		_, second = sluice.Upload(ctx, memory, "second", smallOptions(), func(w io.Writer) error {
			<-ctx.Done()
			_, err := w.Write(testutil.Content(part * 4))
			return err
		})
		return second
	})
	require.ErrorIs(t, g.Wait(), faults.ErrInjected)
	var e *sluice.Error
	require.ErrorAs(t, second, &e)
	require.Equal(t, "second", e.Name)
	require.ErrorIs(t, second, context.Canceled)
	require.Empty(t, e.LargeFile)
}

func TestAHookThatPanicsInCloseSurfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.PanicsWithValue(t, "hook", func() {
			o := smallOptions()
			o.Hooks = &sluice.Hooks{PartDone: func(sluice.PartEvent, error) { panic("hook") }}
			_, _ = sluice.Upload(t.Context(), store(smallLimits()), "f", o, writeAll(testutil.Content(5)))
		})
	})
}

func TestAnUploaderThatIsEndedFromOutsideFailsTheStream(t *testing.T) {
	memory := store(smallLimits())
	b := newStub()
	b.Backend = memory
	b.finish = func(ctx context.Context, real func() (sluice.File, error)) (sluice.File, error) {
		f, err := real()
		f.Size = 0 // a store that says nothing of size, as Receipt/File allow
		return f, err
	}
	o := smallOptions()
	o.Concurrency = 1
	o.Hooks = &sluice.Hooks{PartStarted: func(e sluice.PartEvent) {
		if e.Number == 4 {
			runtime.Goexit() // what t.FailNow does
		}
	}}
	_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(testutil.Content(4*part)))
	require.ErrorContains(t, err, endedFromOutside)
}

func TestAResumedPlanIsChecked(t *testing.T) {
	l := sluice.Limits{ServerSizesParts: true, Resumable: true}
	memory := memorybackend.New(&memorybackend.Options{Limits: &l, PlanPart: 10 * page})
	_, err := memory.StartLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: 100 * page})
	require.NoError(t, err)
	_, err = sluice.New(t.Context(), memory, "f", &sluice.Options{MemoryLimit: 8 * page, PageSize: page, Size: 100 * page, Resume: true})
	require.EqualError(t, err, `sluice: resume "f": the store plans parts of 160 bytes, and a part may be at most half the memory limit of 128 bytes; set MemoryLimit to at least 320 bytes`)
}

func TestAFinishedFileOfAnotherDigestIsAnError(t *testing.T) {
	b := newStub()
	b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
		f, err := real()
		f.Digests = sluice.Digests{{Name: "sha256", Sum: []byte("no such thing")}}
		return f, err
	}
	o := smallOptions()
	o.Digests = []sluice.Algorithm{memorybackend.SHA256()}
	_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(testutil.Content(5*part)))
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorContains(t, err, "the store says it has finished file mem-1, of bytes of sha256")
}

func TestAfterAFinishThatCameFirstWriteIsErrClosedThoughAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.finish = func(ctx context.Context, real func() (sluice.File, error)) (sluice.File, error) {
			f, err := real()
			_ = until(ctx)
			return f, err
		}
		w, _ := open(t, t.Context(), b, nil)
		mustWrite(t, w, 3*part)
		go func() { time.Sleep(time.Second); w.Abort(nil) }()
		require.NoError(t, w.Close())
		_, err := w.Write([]byte{1})
		require.ErrorIs(t, err, sluice.ErrClosed)
	})
}

func TestPiecesOfAResumedTailFitTheNumbersLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smallLimits()
		l.MaxParts = 3
		memory, data := store(l), testutil.Content(8*page+7*page)
		o := func() *sluice.Options {
			return &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, Concurrency: 8, Resume: true, KeepOnFailure: true, MaxSize: 24 * page}
		}
		b := faults.New(memory, faults.Fail(nil, faults.OnPart(2)), faults.Delay(time.Second, faults.OnPart(2)))
		slow := faults.New(b, faults.Delay(time.Second, faults.OnPart(2)))
		w, err := sluice.New(t.Context(), slow, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		synctest.Wait()
		require.ErrorIs(t, w.Close(), faults.ErrInjected)
		w, err = sluice.New(t.Context(), memory, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, w.Close(), "it is resumed at the first attempt")
		require.Equal(t, data, readBack(t, memory, "f"))
	})
}

func TestAStoredLastPartIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smallLimits()
		memory := memorybackend.New(&memorybackend.Options{Limits: &l, Latency: time.Millisecond})
		o := func() *sluice.Options {
			return &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 4 * page, Concurrency: 4, Resume: true, KeepOnFailure: true}
		}
		data := testutil.Content(8*page + 3*page + 5)
		b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.Finish)))
		first := o()
		first.Concurrency = 1
		_, err := sluice.Upload(t.Context(), b, "f", first, writeAll(data))
		require.ErrorIs(t, err, faults.ErrInjected)
		c := faults.New(memory)
		w, err := sluice.New(t.Context(), c, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, w.Close())
		require.EqualValues(t, len(data), w.Stats().Reused)
	})
}

func TestATailOfWhichOnlyTheLastPieceIsStoredIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, data := store(smallLimits()), testutil.Content(8*page+7*page+5)
		o := func() *sluice.Options {
			return &sluice.Options{MemoryLimit: 64 * page, PageSize: page, PartSize: 8 * page, Concurrency: 8, Resume: true, KeepOnFailure: true}
		}
		// Part 9, the short last piece, arrives; the seven before it are under
		// way when the connection goes.
		b := faults.New(memory, faults.Fail(nil, faults.Not(faults.OnPart(1)), faults.Not(faults.OnPart(9)), faults.OnKind(faults.UploadPart)))
		slow := faults.New(b, faults.Delay(time.Second, faults.Not(faults.OnPart(1)), faults.Not(faults.OnPart(9)), faults.OnKind(faults.UploadPart)))
		w, err := sluice.New(t.Context(), slow, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		synctest.Wait()
		require.ErrorIs(t, w.Close(), faults.ErrInjected)
		w, err = sluice.New(t.Context(), memory, "f", o())
		require.NoError(t, err)
		_, err = w.ReadFrom(bytes.NewReader(data))
		require.NoError(t, err)
		require.NoError(t, w.Close(), "it is resumed at the first attempt")
		require.Equal(t, data, readBack(t, memory, "f"))
	})
}

func TestKeepHoldsForASingleUploadThatFails(t *testing.T) {
	memory := store(smallLimits())
	interrupt(t, memory, testutil.Content(20*part), 2, func(o *sluice.Options) { o.Concurrency = 1 })
	require.Len(t, memory.Leftovers(""), 1)
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadFile)))
	// as long as what is stored
	_, err := sluice.Upload(t.Context(), b, "f", resumeOptions(), writeAll(testutil.Content(part)))
	require.ErrorIs(t, err, faults.ErrInjected)
	require.Len(t, memory.Leftovers(""), 1, "Resume implies KeepOnFailure")
}

func TestAnotherStreamsUnknownFinishIsNotThisOnes(t *testing.T) {
	for _, size := range []int{1, 3 * part} {
		ctx, cancel := context.WithCancelCause(t.Context())
		b := newStub()
		end := func() { cancel(fmt.Errorf("other stream: %w", sluice.ErrFinishUnknown)) }
		b.uploadFile = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.File, error)) (sluice.File, error) {
			end()
			return sluice.File{}, context.Cause(ctx) // nothing was sent
		}
		b.finish = func(ctx context.Context, _ func() (sluice.File, error)) (sluice.File, error) {
			end()
			return sluice.File{}, context.Cause(ctx) // nothing was sent
		}
		w, _ := open(t, ctx, b, nil)
		mustWrite(t, w, size)
		require.NotErrorIs(t, w.Close(), sluice.ErrFinishUnknown)
		if size > 1 {
			require.Equal(t, 1, b.cancels)
		}
	}
}

func TestAnUnknownFinishAsTheContextsCauseIsOnlyWords(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	b := newStub()
	w, _ := open(t, ctx, b, func(o *sluice.Options) { o.KeepOnFailure = true })
	mustWrite(t, w, 10*part)
	cancel(fmt.Errorf("other stream: %w", sluice.ErrFinishUnknown))
	err := w.Close()
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
}

func TestTheSameStreamWithTheSameOptionsIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, data := store(smallLimits()), testutil.Content(8*8*page+7*page+5)
		o := func() *sluice.Options {
			return &sluice.Options{
				MemoryLimit: 80 * page, PageSize: page, PartSize: 8 * page, Concurrency: 8, Resume: true, KeepOnFailure: true,
				MaxSize: 1000 * page, Hooks: &sluice.Hooks{PartStarted: func(sluice.PartEvent) { time.Sleep(time.Second) }},
			} // hashing takes its time
		}
		// 8 full parts, then the tail in pieces 9, 10, 11 and a shorter 12,
		// which comes first; then the connection is cut.
		cut := faults.New(memory, faults.Fail(nil, faults.OnPart(9, 10, 11)), faults.Delay(time.Second, faults.OnPart(9, 10, 11)))
		slow := faults.New(cut, faults.Delay(time.Second, faults.OnPart(9, 10, 11)))
		w, err := sluice.New(t.Context(), slow, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		time.Sleep(time.Minute) // the source is slow
		require.ErrorIs(t, w.Close(), faults.ErrInjected)
		w, err = sluice.New(t.Context(), memory, "f", o())
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close(), "it is resumed at the first attempt")
		require.Equal(t, data, readBack(t, memory, "f"))
	})
}

func TestAReachBeyondAllNumbersIsNoTrouble(t *testing.T) {
	l := smallLimits()
	l.MaxParts, l.MaxSingle = 0, math.MaxInt64
	memory := store(l)
	o := &sluice.Options{MemoryLimit: 16 << 30, PageSize: 1 << 10, PartSize: 1 << 10, Concurrency: 1, KeepOnFailure: true}
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(3)))
	_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(testutil.Content(6<<10)))
	require.ErrorIs(t, err, faults.ErrInjected)
	o.Resume, o.PartSize = true, 8<<30
	w, err := sluice.New(t.Context(), memory, "f", o)
	require.NoError(t, err)
	defer w.Abort(nil)
	_, err = w.Write(testutil.Content(10 << 10))
	require.NoError(t, err)
}

func TestATinyMemoryLimitIsEnoughForTinyPages(t *testing.T) {
	w, err := sluice.New(t.Context(), memorybackend.New(nil), "f", &sluice.Options{MemoryLimit: 8, PageSize: 1})
	require.NoError(t, err)
	mustWrite(t, w, 20)
	require.NoError(t, w.Close())
}

func TestTheAdviceCanBeFollowed(t *testing.T) {
	pool, err := sluice.NewPool(16<<20, 1<<20)
	require.NoError(t, err)
	_, err = newOnB2(t, &sluice.Options{Pool: pool, MaxSize: 1e12})
	require.EqualError(t, err, `sluice: open "f": Options.MaxSize 1 TB: stream passes 75.4 GB, the most that the Pool's limit 16 MiB carries in 10000 parts (8 MiB each); set the Pool's limit to at least 212 MiB for 1 TB`)
	s, err := newOnB2(t, &sluice.Options{MemoryLimit: 212 << 20, MaxSize: 1e12})
	require.NoError(t, err)
	require.EqualValues(t, 1e12, s.MaxStreamSize)
	_, err = newOnB2(t, &sluice.Options{Concurrency: 1 << 20})
	require.EqualError(t, err, `sluice: open "f": concurrency 1048576 (Options.Concurrency) is over 65536`)
	_, err = newOnB2(t, &sluice.Options{Size: sluice.UnknownSize})
	require.NoError(t, err)
}

func TestAStoredFileOfAnotherSizeIsNamed(t *testing.T) {
	b := newStub()
	b.uploadFile = func(_ context.Context, p *sluice.Part, real func() (sluice.File, error)) (sluice.File, error) {
		f, err := real()
		f.Size++
		return f, err
	}
	_, err := sluice.Upload(t.Context(), b, "f", smallOptions(), writeAll(testutil.Content(5)))
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.EqualError(t, err, `sluice: upload "f": outcome of finish unknown: the store says it has finished file mem-1, of 6 bytes, 5 were sent`)
}
