package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// The store answers one call with nothing but errors until the caller's deadline.
func TestWriter_NamesTheStoresLastFailureWhenItsContextEnds(t *testing.T) {
	errBusy, errSignal := errors.New("503 SlowDown"), errors.New("signal: terminated")
	outage := func(ctx context.Context) error {
		return retry.Policy{Budget: time.Hour}.Resolve().Do(ctx, retry.Call{
			Classify: func(error) retry.Verdict { return retry.Verdict{Action: retry.BackOff} },
		}, func(context.Context, *retry.Attempt) error { return errBusy })
	}
	for op, c := range map[string]struct {
		size int
		in   func(*stub)
	}{
		"start": {3 * part, func(s *stub) {
			s.start = func(ctx context.Context, _ func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
				return nil, outage(ctx)
			}
		}},
		"upload": {3 * part, func(s *stub) {
			s.uploadPart = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
				return sluice.Receipt{}, outage(ctx)
			}
		}},
		"upload ": {10, func(s *stub) {
			s.uploadFile = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.File, error)) (sluice.File, error) {
				return sluice.File{}, outage(ctx)
			}
		}},
		"finish": {3 * part, func(s *stub) {
			s.finish = func(ctx context.Context, _ func() (sluice.File, error)) (sluice.File, error) {
				return sluice.File{}, outage(ctx)
			}
		}},
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStub()
				c.in(b)
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errSignal)
				defer cancel()
				w, _ := open(t, ctx, b, nil)
				_, err := w.Write(testutil.Content(c.size))
				if err != nil {
					require.ErrorIs(t, err, errSignal)
				}
				err = w.Close()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errSignal)
				require.ErrorIs(t, err, errBusy)
				require.ErrorContains(t, err, "signal: terminated (last failure: 503 SlowDown)")
				require.Equal(t, err, w.Close())
			})
		})
	}
}

// The stream's own failure came first, and ended the uploads that were in trouble.
func TestWriter_KeepsItsOwnFailureThoughUploadsWereInTrouble(t *testing.T) {
	errSource := errors.New("pg_dump failed")
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.uploadPart = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			<-ctx.Done()
			return sluice.Receipt{}, retry.Ended(ctx, errors.New("503 SlowDown"))
		}
		w, _ := open(t, t.Context(), b, nil)
		_, err := w.Write(testutil.Content(2 * part))
		require.NoError(t, err)
		w.Abort(errSource)
		err = w.Close()
		require.ErrorIs(t, err, errSource)
		require.NotContains(t, err.Error(), "SlowDown")
	})
}

// The context ends a start that may have left a large file: the error says so
// beside what the store answered.
func TestWriter_NamesWhatAStartLeftWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.start = func(ctx context.Context, _ func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("%w (none is listed): %w", sluice.ErrLeftBehind, retry.Ended(ctx, errors.New("503 SlowDown")))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w, _ := open(t, ctx, b, nil)
		_, err := w.Write(testutil.Content(3 * part))
		require.NoError(t, err)
		<-ctx.Done()
		err = w.Close()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, sluice.ErrLeftBehind)
		require.ErrorContains(t, err, "(last failure: 503 SlowDown); a large file may be left unfinished (none is listed)")
	})
}

// The reader waits for its ranges before it says why it failed, so that it can
// tell what the store had answered to them.
func TestReader_NamesTheStoresLastFailureWhenItsContextEnds(t *testing.T) {
	errSignal := errors.New("signal: terminated")
	synctest.Test(t, func(t *testing.T) {
		s := storedPlain(t, testutil.Content(3*part), memorybackend.Options{})
		s.readRange = func(ctx context.Context, _ sluice.StoredFile, _ *sluice.Range, _ func() error) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			return retry.Ended(ctx, errors.New("503 SlowDown"))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errSignal)
		defer cancel()
		r := newReader(t, ctx, s, smallRead())
		_, err := io.ReadAll(r)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errSignal)
		require.ErrorContains(t, err, "signal: terminated (last failure: 503 SlowDown)")
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again)
		require.NoError(t, r.Close())
	})
}
