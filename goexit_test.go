package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// These tests are about code of others that ends its goroutine, as t.FailNow
// does: in a hook, a hash or a backend. The stream has failed then, no call
// waits for ever, and every page comes home.

const endedFromOutside = "a hook or the backend panicked, or ended its goroutine"

func TestAHookThatEndsItsGoroutineLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := smallOptions()
		o.Hooks = &sluice.Hooks{PartDone: func(sluice.PartEvent, error) { runtime.Goexit() }}
		w, err := sluice.New(t.Context(), store(smallLimits()), "f", o)
		require.NoError(t, err)
		go func() { _ = w.Close() }()
		synctest.Wait()
		w.Abort(errors.New("x"))
	})
}

func TestAnUploaderThatIsEndedGivesItsPagesBack(t *testing.T) {
	w, pool := open(t, t.Context(), store(smallLimits()), func(o *sluice.Options) {
		o.Hooks = &sluice.Hooks{PartStarted: func(e sluice.PartEvent) {
			if e.Number == 2 {
				runtime.Goexit()
			}
		}}
	})
	_, _ = w.Write(testutil.Content(4 * part))
	require.ErrorContains(t, w.Close(), endedFromOutside)
	require.Zero(t, pool.InUse())
}

func TestPartsThatNoUploaderIsLeftForAreNotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, pool := open(t, t.Context(), store(smallLimits()), func(o *sluice.Options) {
			o.Concurrency = 1
			o.Hooks = &sluice.Hooks{PartStarted: func(sluice.PartEvent) {
				time.Sleep(time.Second) // the parts behind it are hashed
				runtime.Goexit()
			}}
		})
		mustWrite(t, w, 3*part+1)
		require.ErrorContains(t, w.Close(), endedFromOutside)
		require.Zero(t, w.Stats().PartsInFlight)
		require.Zero(t, pool.InUse())
	})
}

// The hook is called for an upload that is ended as a straggler, and during a
// backoff.
func TestHooks_OfAnAttemptThatEndTheirGoroutineFailTheStream(t *testing.T) {
	for name, attempt := range map[string]func(ctx context.Context, p *sluice.Part) error{
		"straggler": func(ctx context.Context, _ *sluice.Part) error { return until(ctx) },
		"backoff": func(ctx context.Context, p *sluice.Part) error {
			return p.Backoff(ctx, errors.New("reset"), time.Second)
		},
		"slow down": func(ctx context.Context, p *sluice.Part) error {
			return p.Backoff(ctx, sluice.ErrSlowDown, time.Second)
		},
	} {
		for _, concurrency := range []int{0, 3} {
			t.Run(fmt.Sprint(name, ", ", concurrency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newStub()
					b.uploadPart = func(ctx context.Context, p *sluice.Part, real func() (sluice.Receipt, error)) (sluice.Receipt, error) {
						time.Sleep(time.Second)
						if p.Number == 6 {
							if err := attempt(ctx, p); err != nil {
								return sluice.Receipt{}, err
							}
						}
						return real()
					}
					w, pool := open(t, t.Context(), b, func(o *sluice.Options) {
						o.Concurrency = concurrency
						o.Hooks = &sluice.Hooks{PartRetrying: func(sluice.PartEvent, error, time.Duration) { runtime.Goexit() }}
					})
					_, _ = w.Write(testutil.Content(20 * part))
					require.ErrorContains(t, w.Close(), endedFromOutside)
					require.Zero(t, w.Stats().PartsInFlight)
					require.Zero(t, pool.InUse())
					requireNothingLeft(t, b.Backend)
				})
			})
		}
	}
}

func TestAStartThatIsEndedFailsTheStream(t *testing.T) {
	for name, change := range map[string]func(*stub, *sluice.Options){
		"the call": func(b *stub, _ *sluice.Options) {
			b.start = func(context.Context, func() (sluice.LargeFile, error)) (sluice.LargeFile, error) {
				runtime.Goexit()
				return nil, nil
			}
		},
		"its hook": func(_ *stub, o *sluice.Options) {
			o.Hooks = &sluice.Hooks{LargeFileStarted: func(sluice.LargeFileInfo) { runtime.Goexit() }}
		},
	} {
		for _, plans := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := smallLimits()
					b := &stub{Backend: store(l)}
					if plans {
						l.ServerSizesParts, l.MaxSingle, l.MinParts = true, 0, 1
						b.Backend = store(l)
					}
					w, pool := open(t, t.Context(), b, func(o *sluice.Options) {
						if change(b, o); plans {
							o.Size = 100 * part
						}
					})
					_, err := w.Write(testutil.Content(100 * part))
					require.ErrorContains(t, err, endedFromOutside)
					require.ErrorContains(t, w.Close(), `start "f": `+endedFromOutside)
					require.Zero(t, pool.InUse())
					requireNothingLeft(t, b.Backend)
				})
			})
		}
	}
}

func TestAHookOfAStoredPartThatEndsItsGoroutineFailsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, data := store(smallLimits()), testutil.Content(40*part)
		interrupt(t, memory, data, 20, nil)
		o := resumeOptions()
		o.Hooks = &sluice.Hooks{PartStarted: func(e sluice.PartEvent) {
			if e.Number == 3 {
				runtime.Goexit()
			}
		}}
		_, err := sluice.Upload(t.Context(), memory, "f", o, writeAll(data))
		require.ErrorContains(t, err, endedFromOutside)
	})
}

// quitter is a hash that ends its goroutine.
type quitter struct{ hash.Hash32 }

func (quitter) Write([]byte) (int, error) {
	runtime.Goexit()
	return 0, nil
}

func TestADigestOfTheStreamThatEndsItsGoroutineFailsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, pool := open(t, t.Context(), store(smallLimits()), func(o *sluice.Options) {
			o.Digests = []sluice.Algorithm{{Name: "quit", New: func() hash.Hash { return quitter{crc32.NewIEEE()} }}}
		})
		_, _ = w.Write(testutil.Content(100 * part))
		require.ErrorContains(t, w.Close(), endedFromOutside)
		require.Zero(t, pool.InUse())
	})
}

// Once the store was asked for the file, its outcome is unknown if the call does not return.
func TestAFinishThatIsEndedIsOfUnknownOutcome(t *testing.T) {
	for _, size := range []int{1, 3 * part} { // a single upload, a large file
		for name, quit := range map[string]func(){"panic": func() { panic("no") }, "Goexit": runtime.Goexit} {
			t.Run(name, func(t *testing.T) {
				b := newStub()
				ending := func(real func() (sluice.File, error)) (sluice.File, error) {
					f, err := real()
					quit()
					return f, err
				}
				b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) { return ending(real) }
				b.uploadFile = func(_ context.Context, _ *sluice.Part, real func() (sluice.File, error)) (sluice.File, error) {
					return ending(real)
				}
				w, pool := open(t, t.Context(), b, nil)
				mustWrite(t, w, size)
				closing := make(chan struct{})
				go func() {
					defer close(closing)
					defer func() { _ = recover() }()
					_ = w.Close()
				}()
				<-closing
				err := w.Close()
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.ErrorContains(t, err, endedFromOutside)
				require.Zero(t, b.cancels)
				require.Zero(t, pool.InUse())
				require.Equal(t, []string{"f"}, b.Names())
			})
		}
	}
}

func TestACancelThatIsEndedAfterTheFileIsThereChangesNothing(t *testing.T) {
	memory := store(smallLimits())
	interrupt(t, memory, testutil.Content(20*part), 2, func(o *sluice.Options) { o.Concurrency = 1 })
	b := &quitsCancel{memory}
	w, err := sluice.New(t.Context(), b, "f", resumeOptions())
	require.NoError(t, err)
	mustWrite(t, w, part)
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		_ = w.Close()
	}()
	<-closing
	require.NoError(t, w.Close())
	require.EqualValues(t, part, w.File().Size)
}

// quitsCancel is a store whose large files end the goroutine that cancels them.
type quitsCancel struct{ sluice.Backend }

func (q *quitsCancel) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	large, err := q.Backend.ResumeLargeFile(ctx, spec, id)
	return quitsCancelFile{large}, err
}

type quitsCancelFile struct{ sluice.LargeFile }

func (quitsCancelFile) Cancel(context.Context) error {
	runtime.Goexit()
	return nil
}
