package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

var bg = context.Background()

var content = []byte("what the part holds")

func newPart(number int) *sluice.Part {
	h := memorybackend.SHA256().New()
	h.Write(content)
	return sluice.NewPart(number, content, sluice.Digests{{Name: "sha256", Sum: h.Sum(nil)}})
}

func spec(name string) sluice.FileSpec {
	return sluice.FileSpec{Name: name, Size: sluice.UnknownSize}
}

// upload makes the seven calls of a careful program: a small file, a large one
// of two parts, and a look at what is left.
func upload(b sluice.Backend) error {
	_, err := b.UploadFile(bg, sluice.FileSpec{Name: "small", Size: int64(len(content))}, newPart(0))
	if err != nil {
		return err
	}
	f, err := b.StartLargeFile(bg, spec("large"))
	if err != nil {
		return err
	}
	var receipts []sluice.Receipt
	for number := 1; number <= 2; number++ {
		r, err := f.UploadPart(bg, newPart(number))
		if err != nil {
			return errors.Join(err, f.Cancel(bg))
		}
		receipts = append(receipts, r)
	}
	if _, err := f.Finish(bg, receipts, nil); err != nil {
		if errors.Is(err, sluice.ErrFinishUnknown) {
			return err
		}
		return errors.Join(err, f.Cancel(bg))
	}
	for u, err := range b.Unfinished(bg, "") {
		if err != nil {
			return err
		}
		return fmt.Errorf("left behind: %v", u)
	}
	if _, err := b.ResumeLargeFile(bg, spec("large"), ""); err == nil {
		return errors.New("resumed a finished file")
	} else if errors.Is(err, faults.ErrInjected) {
		return err
	}
	return nil
}

func TestWithoutInjectorsEverythingPassesAndIsRecorded(t *testing.T) {
	b := faults.New(memorybackend.New(nil))
	require.NoError(t, upload(b))
	var got []string
	for _, c := range b.Calls() {
		require.False(t, c.Injected)
		require.Equal(t, c.Began+1, c.Ended, "one call at a time")
		got = append(got, c.String())
	}
	require.Equal(t, []string{
		`1 UploadFile "small"`, `2 StartLargeFile "large"`, `3 UploadPart "large" part 1`, `4 UploadPart "large" part 2`,
		`5 Finish "large"`, `6 Unfinished ""`, `7 ResumeLargeFile "large"`,
	}, got)
	require.Len(t, b.Calls(faults.UploadPart, faults.Finish), 3)
}

func TestSweepFailsEveryCallOnce(t *testing.T) {
	var n int
	for n = 1; ; n++ {
		store := memorybackend.New(nil)
		fault := faults.Fail(nil, faults.Nth(n))
		b := faults.New(store, fault)
		err := upload(b)
		if fault.Fired() == 0 {
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, err, faults.ErrInjected, "call %d", n)
		require.Equal(t, 1, fault.Fired())
		require.Empty(t, store.Leftovers(""), "call %d", n)
		require.ErrorIs(t, b.Calls()[n-1].Err, faults.ErrInjected)
		require.True(t, b.Calls()[n-1].Injected)
	}
	require.Equal(t, 8, n)
}

func TestAFailedCallHasNoEffect(t *testing.T) {
	store := memorybackend.New(nil)
	b := faults.New(store, faults.Fail(nil, faults.OnKind(faults.UploadFile)))
	_, err := b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: int64(len(content))}, newPart(0))
	require.ErrorIs(t, err, faults.ErrInjected)
	require.Empty(t, store.Names())
}

func TestALostAnswerFollowsWorkThatWasDone(t *testing.T) {
	unknown := fmt.Errorf("connection reset: %w", sluice.ErrFinishUnknown)
	for _, lost := range []error{unknown, errors.New("connection reset")} {
		store := memorybackend.New(nil)
		b := faults.New(store, faults.Lose(lost, faults.OnKind(faults.Finish)))
		f, err := b.StartLargeFile(bg, spec("x"))
		require.NoError(t, err)
		r1, err := f.UploadPart(bg, newPart(1))
		require.NoError(t, err)
		r2, err := f.UploadPart(bg, newPart(2))
		require.NoError(t, err)
		file, err := f.Finish(bg, []sluice.Receipt{r1, r2}, nil)
		require.Equal(t, lost, err)
		require.Zero(t, file)
		require.Equal(t, []string{"x"}, store.Names())
	}
}

func TestALargeFileWhoseStartIsLostIsCancelled(t *testing.T) {
	store := memorybackend.New(nil)
	b := faults.New(store, faults.Lose(nil, faults.OnKind(faults.StartLargeFile)))
	_, err := b.StartLargeFile(bg, spec("x"))
	require.ErrorIs(t, err, faults.ErrInjected)
	require.Empty(t, store.Leftovers(""))
	require.Len(t, b.Calls(), 1, "the cancel is not the caller's")
}

func TestLoseKeepsTheErrorOfACallThatFailsByItself(t *testing.T) {
	loss := faults.Lose(nil)
	b := faults.New(memorybackend.New(nil), loss)
	_, err := b.ResumeLargeFile(bg, spec("x"), "")
	require.Error(t, err)
	require.NotErrorIs(t, err, faults.ErrInjected)
	require.Zero(t, loss.Fired())
}

func TestUnfinishedFailsAsASequenceThatYieldsTheError(t *testing.T) {
	for _, fault := range []*faults.Injector{faults.Fail(nil), faults.Lose(nil)} {
		store := memorybackend.New(nil)
		_, err := store.StartLargeFile(bg, spec("x"))
		require.NoError(t, err)
		var errs []error
		for _, err := range faults.New(store, fault).Unfinished(bg, "") {
			errs = append(errs, err)
		}
		require.Equal(t, []error{faults.ErrInjected}, errs)
	}
}

func TestDelayAndBlockFollowTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faults.New(memorybackend.New(nil),
			faults.Delay(time.Minute, faults.OnKind(faults.UploadFile)),
			faults.Block(faults.OnKind(faults.StartLargeFile)))
		began := time.Now()
		_, err := b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: int64(len(content))}, newPart(0))
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(began))

		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err = b.UploadFile(ctx, sluice.FileSpec{Name: "y", Size: int64(len(content))}, newPart(0))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+time.Second, time.Since(began))

		ctx, cancel = context.WithTimeout(bg, time.Hour)
		defer cancel()
		_, err = b.StartLargeFile(ctx, spec("z"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+time.Second+time.Hour, time.Since(began))
	})
}

func TestRetryReadsHalfAndGoesOn(t *testing.T) {
	store := memorybackend.New(nil)
	retry := faults.Retry(nil, faults.Nth(1))
	b := faults.New(store, retry)
	require.NoError(t, upload(b))
	require.Equal(t, 1, retry.Fired())
	require.True(t, b.Calls()[0].Injected)
	require.Equal(t, []string{"large", "small"}, store.Names())
}

func TestConditionsAreAskedFromLeftToRight(t *testing.T) {
	second := faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(2))
	b := faults.New(memorybackend.New(nil), second)
	require.ErrorIs(t, upload(b), faults.ErrInjected)
	require.Equal(t, 2, b.Calls(faults.UploadPart)[1].Part)
	require.ErrorIs(t, b.Calls(faults.UploadPart)[1].Err, faults.ErrInjected)
	require.Len(t, b.Calls(faults.Cancel), 1)
}

func TestConditionsCompose(t *testing.T) {
	op := faults.Op{Index: 4, Kind: faults.UploadPart, Name: "x", Part: 3}
	require.True(t, faults.OnPart(1, 3)(op))
	require.False(t, faults.OnPart(2)(op))
	require.True(t, faults.OnName("x")(op))
	require.False(t, faults.OnName("y")(op))
	require.False(t, faults.OnName("")(faults.Op{Kind: faults.Unfinished}))
	require.False(t, faults.Not(faults.OnPart(3))(op))
	from := faults.From(2)
	require.Equal(t, []bool{false, true, true}, []bool{from(op), from(op), from(op)})
}

func TestTheRecordShowsOverlap(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	b := faults.New(memorybackend.New(nil), faults.Do(func(context.Context, faults.Op) error {
		inside <- struct{}{}
		<-release
		return nil
	}, faults.OnKind(faults.UploadPart)))
	f, err := b.StartLargeFile(bg, spec("x"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for number := 1; number <= 2; number++ {
		wg.Go(func() { _, _ = f.UploadPart(bg, newPart(number)) })
		<-inside
	}
	require.Zero(t, b.Calls(faults.UploadPart)[0].Ended)
	close(release)
	wg.Wait()
	calls := b.Calls(faults.UploadPart)
	require.Less(t, calls[0].Began, calls[1].Ended)
	require.Less(t, calls[1].Began, calls[0].Ended)
}

func TestFaultsDoesNotLinkTesting(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	require.NotContains(t, strings.Fields(string(out)), "testing")
	require.Contains(t, strings.Fields(string(out)), "github.com/c1508ce4/sluice")
}
