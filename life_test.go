package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// These tests are about which calls may end a stream, when, and what is left
// then. They run in bubbles: a goroutine that stays behind, or a call that never
// returns, fails them.

// hang is a source that gives n bytes and then blocks in Read until it is released.
type hang struct {
	first   []byte
	release chan struct{}
}

func (h *hang) Read(p []byte) (int, error) {
	if len(h.first) > 0 {
		n := copy(p, h.first)
		h.first = h.first[n:]
		return n, nil
	}
	<-h.release
	return copy(p, "late"), nil
}

func TestAbortDoesNotWaitForASourceThatHangs(t *testing.T) {
	for _, size := range []int{0, 1, page, page + 1, part - 1, part, part + 1, 3*part + page + 3} {
		for _, byContext := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, context %t", size, byContext), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, cause := newStub(), errors.New("enough")
					ctx, cancel := context.WithCancelCause(t.Context())
					w, pool := open(t, ctx, b, nil)
					source := &hang{first: testutil.Content(size), release: make(chan struct{})}
					var readErr error
					var reading sync.WaitGroup
					reading.Go(func() { _, readErr = w.ReadFrom(source) })
					synctest.Wait()
					if byContext {
						cancel(cause)
						require.ErrorIs(t, w.Close(), cause)
					} else {
						w.Abort(cause)
					}
					// Only the page that the source may write into is still out.
					require.LessOrEqual(t, pool.InUse(), int64(page))
					require.ErrorIs(t, w.Close(), cause)
					_, err := w.Write([]byte{1})
					require.ErrorIs(t, err, cause, "Write does not wait for the turn of the hanging ReadFrom")
					requireNothingLeft(t, b.Backend)
					close(source.release)
					reading.Wait()
					require.ErrorIs(t, readErr, cause)
					require.Zero(t, pool.InUse())
					cancel(nil)
				})
			})
		}
	}
}

func TestAbortUnblocksAWriteThatWaitsForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.uploadPart = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			return sluice.Receipt{}, until(ctx)
		}
		w, pool := open(t, t.Context(), b, nil)
		var writing sync.WaitGroup
		writing.Go(func() {
			n, err := w.Write(testutil.Content(100 * part))
			require.ErrorIs(t, err, sluice.ErrAborted)
			require.Less(t, n, 9*page)
		})
		synctest.Wait()
		require.EqualValues(t, 8*page, pool.InUse())
		w.Abort(nil)
		writing.Wait()
		require.Zero(t, pool.InUse())
		requireNothingLeft(t, b.Backend)
		require.Equal(t, 1, b.cancels)
	})
}

func TestAbortUnblocksClose(t *testing.T) {
	for _, size := range []int{1, 3 * part} { // a single upload, a large file
		synctest.Test(t, func(t *testing.T) {
			b := newStub()
			b.uploadPart = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.Receipt, error)) (sluice.Receipt, error) {
				return sluice.Receipt{}, until(ctx)
			}
			b.uploadFile = func(ctx context.Context, _ *sluice.Part, _ func() (sluice.File, error)) (sluice.File, error) {
				return sluice.File{}, until(ctx)
			}
			w, pool := open(t, t.Context(), b, nil)
			mustWrite(t, w, size)
			var closing sync.WaitGroup
			closing.Go(func() { require.ErrorIs(t, w.Close(), sluice.ErrAborted) })
			synctest.Wait()
			w.Abort(nil)
			closing.Wait()
			require.Zero(t, pool.InUse())
			requireNothingLeft(t, b.Backend)
		})
	}
}

func TestAbortJoinsAStartUnderWayAndCancelsWhatItStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		b.start = func(ctx context.Context, real func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
			large, err := real() // the answer comes just when the stream is aborted
			require.NoError(t, err)
			_ = until(ctx)
			return large, nil
		}
		w, _ := open(t, t.Context(), b, nil)
		mustWrite(t, w, part+1)
		synctest.Wait()
		w.Abort(nil)
		require.Equal(t, 1, b.cancels)
		requireNothingLeft(t, b.Backend)
	})
}

func TestAfterFinishIsCalledTheStoreDecides(t *testing.T) {
	refused := errors.New("refused")
	lost := fmt.Errorf("connection reset: %w", sluice.ErrFinishUnknown)
	for _, c := range []struct {
		name   string
		finish func(real func() (sluice.File, error)) (sluice.File, error)
		check  func(t *testing.T, b *stub, err error)
	}{
		{
			"finished all the same", func(real func() (sluice.File, error)) (sluice.File, error) { return real() },
			func(t *testing.T, b *stub, err error) {
				require.NoError(t, err, "the file exists, although Abort was called")
				require.Equal(t, []string{"f"}, b.Names())
				require.Zero(t, b.cancels)
			},
		},
		{
			"certainly not", func(func() (sluice.File, error)) (sluice.File, error) { return sluice.File{}, refused },
			func(t *testing.T, b *stub, err error) {
				require.ErrorIs(t, err, sluice.ErrAborted, "the first failure")
				require.Equal(t, 1, b.cancels)
				requireNothingLeft(t, b.Backend)
			},
		},
		{
			"nobody knows", func(func() (sluice.File, error)) (sluice.File, error) { return sluice.File{}, lost },
			func(t *testing.T, b *stub, err error) {
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Zero(t, b.cancels, "cancelling could destroy a finished file's parts")
				id := b.Leftovers("")[0].ID
				require.EqualError(t, err, `sluice: finish "f": connection reset: sluice: outcome of finish unknown; large file `+id+` may be finished or not: look before uploading again`)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStub()
				finishing := make(chan struct{})
				b.finish = func(ctx context.Context, real func() (sluice.File, error)) (sluice.File, error) {
					f, err := c.finish(real)
					close(finishing)
					require.ErrorIs(t, until(ctx), sluice.ErrAborted, "Abort ends the retries")
					time.Sleep(time.Minute) // looking the file up
					return f, err
				}
				ctx := t.Context()
				w, pool := open(t, ctx, b, nil)
				mustWrite(t, w, 3*part)
				var closed error
				var closing sync.WaitGroup
				closing.Go(func() { closed = w.Close() })
				<-finishing
				asked := time.Now()
				w.Abort(nil)
				require.Equal(t, time.Minute, time.Since(asked), "Abort waits for the outcome")
				closing.Wait()
				c.check(t, b, closed)
				require.Zero(t, pool.InUse())
			})
		})
	}
}

func TestASingleUploadOfUnknownOutcomeIsReportedAsSuch(t *testing.T) {
	b := newStub()
	b.uploadFile = func(context.Context, *sluice.Part, func() (sluice.File, error)) (sluice.File, error) {
		return sluice.File{}, sluice.ErrFinishUnknown
	}
	w, _ := open(t, t.Context(), b, nil)
	mustWrite(t, w, 1)
	err := w.Close()
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.EqualError(t, err, `sluice: upload "f": outcome of finish unknown`)
}

func TestCleanupOutlivesTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStub()
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
		b.cancel = func(ctx context.Context, real func() error) error {
			require.NoError(t, ctx.Err())
			require.Equal(t, "kept", ctx.Value(key{}))
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, 7*time.Second, time.Until(deadline))
			return real()
		}
		w, _ := open(t, ctx, b, func(o *sluice.Options) { o.CleanupTimeout = 7 * time.Second })
		mustWrite(t, w, 3*part)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, w.Close(), context.Canceled)
		require.Equal(t, 1, b.cancels)
		requireNothingLeft(t, b.Backend)
	})
}

func TestWhatCouldNotBeCancelledIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cause, why := newStub(), errors.New("enough"), errors.New("503 busy")
		b.cancel = func(context.Context, func() error) error { return why }
		w, _ := open(t, t.Context(), b, nil)
		mustWrite(t, w, 3*part)
		synctest.Wait()
		w.Abort(cause)
		var e *sluice.Error
		require.ErrorAs(t, w.Close(), &e)
		require.ErrorIs(t, e, cause)
		id := b.Leftovers("")[0].ID
		require.Equal(t, id, e.LargeFile)
		require.Equal(t, why, e.Cleanup)
		require.EqualError(t, e, `sluice: upload "f": aborted: enough; large file `+id+` still exists, cancelling it failed: 503 busy`)
		_, err := w.Write(nil)
		require.Equal(t, error(e), err, "every later call says so too")
	})
}

func TestTheFirstPartThatFailsIsTheStreamsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, cause := newStub(), errors.New("503 busy")
		b.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			if p.Number != 2 {
				return sluice.Receipt{}, until(ctx) // and merely report that it was cancelled
			}
			for attempt := range 3 {
				body := p.Attempt()
				_, err := io.Copy(io.Discard, body)
				require.NoError(t, err)
				require.NoError(t, body.Close())
				if attempt < 2 {
					_ = p.Backoff(t.Context(), cause, time.Second)
				}
			}
			return sluice.Receipt{}, cause
		}
		w, pool := open(t, t.Context(), b, nil)
		_, err := w.Write(testutil.Content(100 * part))
		<-w.Done()
		require.ErrorIs(t, err, cause)
		require.EqualError(t, err, `sluice: upload part 2 of "f" (3 attempts): 503 busy`)
		require.ErrorIs(t, w.Close(), cause)
		require.Equal(t, 2, w.Stats().Retries)
		require.EqualValues(t, 2*part, w.Stats().Resent)
		require.Zero(t, pool.InUse())
		require.Equal(t, 1, b.cancels)
		requireNothingLeft(t, b.Backend)
	})
}

func TestAStartThatFailsFailsTheStream(t *testing.T) {
	b, cause := newStub(), errors.New("no such bucket")
	b.start = func(context.Context, func() (sluice.LargeFile, error)) (sluice.LargeFile, error) { return nil, cause }
	w, pool := open(t, t.Context(), b, nil)
	_, err := w.Write(testutil.Content(100 * part))
	require.EqualError(t, err, `sluice: start "f": no such bucket`)
	require.ErrorIs(t, w.Close(), cause)
	require.Zero(t, pool.InUse())
	require.Zero(t, b.cancels)
}

func TestAStoreThatReceivedSomethingElseIsNotBelieved(t *testing.T) {
	lies := map[string]func(*sluice.Receipt){
		`the store says it received 7 bytes, 32 were sent`: func(r *sluice.Receipt) { r.Size = 7 },
		`the store says it received bytes of sha256 00, those sent have ` + fmt.Sprintf("%x", sum256(testutil.Content(part))): func(r *sluice.Receipt) {
			r.Digests = sluice.Digests{{Name: "sha256", Sum: []byte{0}}}
		},
	}
	for want, lie := range lies {
		b := newStub()
		b.uploadPart = func(_ context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
			r, err := real()
			if p.Number == 1 {
				lie(&r)
			}
			return r, err
		}
		w, _ := open(t, t.Context(), b, nil)
		_, _ = w.Write(testutil.Content(3 * part))
		require.EqualError(t, w.Close(), `sluice: upload part 1 of "f": `+want)
		requireNothingLeft(t, b.Backend)
	}
}

func TestAFinishedFileOfAnotherSizeIsAnError(t *testing.T) {
	b := newStub()
	b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
		f, err := real()
		f.ID, f.Size = "x7", 5
		return f, err
	}
	w, _ := open(t, t.Context(), b, nil)
	mustWrite(t, w, 3*part)
	err := w.Close()
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.EqualError(t, err, `sluice: finish "f": outcome of finish unknown: the store says it has finished file x7, of 5 bytes, 96 were sent; `+
		`large file mem-1 may be finished or not: look before uploading again`)
	require.Zero(t, w.File())
	_, err = b.Backend.Open("f")
	require.NoError(t, err, "it is not removed")
}

func TestAbortRacesWithEverything(t *testing.T) {
	for seed := range 300 {
		synctest.Test(t, func(t *testing.T) {
			b := newStub()
			w, pool := open(t, t.Context(), b, nil)
			var calls sync.WaitGroup
			for i := range 3 {
				calls.Go(func() {
					for range 5 {
						if (seed+i)%2 == 0 {
							_, _ = w.Write(testutil.Content(part * i))
						} else {
							_, _ = w.ReadFrom(bytes.NewReader(testutil.Content(part * i)))
						}
						_ = w.Stats()
						_ = w.File()
					}
				})
			}
			calls.Go(func() {
				for range seed % 50 {
					_ = w.Settings()
				}
				w.Abort(nil)
				w.Abort(nil)
			})
			errs := make(chan error, 2)
			if seed%3 == 0 {
				calls.Go(func() { errs <- w.Close() })
				calls.Go(func() { errs <- w.Close() })
			}
			calls.Wait()
			if seed%3 == 0 {
				require.Equal(t, <-errs, <-errs, "every Close returns the same")
			}
			if err := w.Close(); err != nil {
				require.ErrorIs(t, err, sluice.ErrAborted)
				require.Empty(t, b.Names())
			}
			require.Empty(t, b.Leftovers(""))
			require.Zero(t, pool.InUse())
			require.LessOrEqual(t, b.cancels, 1)
		})
	}
}
