package sluice_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// interrupt streams data until the n-th part upload fails, as a killed program
// does, and keeps the rest.
func interrupt(t *testing.T, memory *memorybackend.Backend, data []byte, n int, change func(*sluice.Options)) string {
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(n)))
	o := &sluice.Options{MemoryLimit: 8 * page, PageSize: page, PartSize: part, Concurrency: 3, KeepOnFailure: true}
	if change != nil {
		change(o)
	}
	w, err := sluice.New(t.Context(), b, "f", o)
	require.NoError(t, err)
	_, _ = w.Write(data)
	require.ErrorIs(t, w.Close(), faults.ErrInjected)
	left := memory.Leftovers("")
	require.Len(t, left, 1)
	return left[0].ID
}

func resumeOptions() *sluice.Options {
	return &sluice.Options{MemoryLimit: 8 * page, PageSize: page, PartSize: part, Concurrency: 3, Resume: true, KeepOnFailure: true}
}

func writeAll(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func TestAnInterruptedStreamIsResumedWherePartsAreStored(t *testing.T) {
	for _, byID := range []bool{false, true} {
		for n := 1; n <= 12; n++ {
			synctest.Test(t, func(t *testing.T) {
				memory, data := store(smallLimits()), testutil.Content(11*part+7)
				id := interrupt(t, memory, data, n, nil)
				b := faults.New(memory)
				o := resumeOptions()
				if byID {
					o.Resume, o.ResumeID = false, id
				}
				started := ""
				o.Hooks = &sluice.Hooks{LargeFileStarted: func(i sluice.LargeFileInfo) { started = i.ID }}
				o.Digests = []sluice.Algorithm{{Name: "sha1", New: sha1.New}}
				w, err := sluice.New(t.Context(), b, "f", o)
				require.NoError(t, err)
				_, err = w.ReadFrom(bytes.NewReader(data))
				require.NoError(t, err)
				require.NoError(t, w.Close())
				require.Equal(t, data, readBack(t, memory, "f"))
				require.Equal(t, id, started)
				require.Empty(t, memory.Leftovers(""))
				require.Empty(t, b.Calls(faults.StartLargeFile))
				sent := len(b.Calls(faults.UploadPart))
				require.LessOrEqual(t, sent, 12-(n-1)+2, "but for what was in flight, stored parts are not sent again")
				require.EqualValues(t, 12-sent, countParts(w.Stats().Reused))
				require.EqualValues(t, len(data), w.Stats().Acknowledged)
				sum := sha1.Sum(data)
				require.Equal(t, sum[:], w.File().Digests.Get("sha1"), "the digest is of the whole stream")
			})
		}
	}
}

func countParts(bytes int64) int64 { return (bytes + part - 1) / part }

func TestWithNothingToResumeTheStreamStartsAnewUnlessAnIDWasGiven(t *testing.T) {
	b := store(smallLimits())
	_, err := sluice.Upload(t.Context(), b, "f", resumeOptions(), writeAll(testutil.Content(5*part)))
	require.NoError(t, err)
	o := resumeOptions()
	o.ResumeID = "no such id"
	_, err = sluice.New(t.Context(), b, "f", o)
	require.ErrorContains(t, err, `sluice: resume "f": `)
}

func TestTheReplayIsCutAtTheStoredSizes(t *testing.T) {
	memory, data := store(smallLimits()), testutil.Content(30*page)
	interrupt(t, memory, data, 6, func(o *sluice.Options) { o.PartSize, o.Concurrency = 3*page, 1 })
	b := faults.New(memory)
	o := resumeOptions() // parts of two pages now
	w, err := sluice.New(t.Context(), b, "f", o)
	require.NoError(t, err)
	mustWrite(t, w, 30*page)
	require.NoError(t, w.Close())
	require.Equal(t, data, readBack(t, memory, "f"))
	require.EqualValues(t, 5*3*page, w.Stats().Reused)
}

func TestAStoredTailBelowTheMinimumIsReusedOnlyAsTheLastPart(t *testing.T) {
	data := testutil.Content(3*part + page/2)
	for _, more := range []int{0, 1, 5 * part} {
		memory := store(smallLimits())
		b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.Finish)))
		o := resumeOptions()
		_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(data))
		require.ErrorIs(t, err, faults.ErrInjected) // all four parts are stored
		longer := append(bytes.Clone(data), testutil.Content(more)...)
		w, err := sluice.New(t.Context(), memory, "f", resumeOptions())
		require.NoError(t, err)
		_, err = w.Write(longer)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Equal(t, longer, readBack(t, memory, "f"))
		if more == 0 {
			require.EqualValues(t, len(data), w.Stats().Reused)
		} else {
			require.EqualValues(t, 3*part, w.Stats().Reused)
		}
	}
}

func TestAStoredPartOverHalfTheMemoryIsRefusedInNew(t *testing.T) {
	memory := store(smallLimits())
	id := interrupt(t, memory, testutil.Content(20*page), 4, func(o *sluice.Options) { o.PartSize, o.Concurrency = 4*page, 1 })
	o := resumeOptions()
	o.MemoryLimit, o.PartSize = 6*page, 0
	_, err := sluice.New(t.Context(), memory, "f", o)
	require.EqualError(t, err, `sluice: resume "f": large file `+id+` has stored part 1 of 64 bytes, and a part may be at most half the memory limit of 96 bytes; set MemoryLimit to at least 128 bytes; large file `+id+` is kept unfinished`)
	require.Len(t, memory.Leftovers(""), 1)
}

// unsized is a store that does not say how large stored parts are.
type unsized struct{ sluice.Backend }

func (u unsized) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	large, err := u.Backend.ResumeLargeFile(ctx, spec, id)
	return unsizedFile{large}, err
}

type unsizedFile struct{ sluice.LargeFile }

func (f unsizedFile) Info() sluice.LargeFileInfo {
	info := f.LargeFile.Info()
	info.Stored = slices.Clone(info.Stored)
	for i := range info.Stored {
		info.Stored[i].Size = 0
	}
	return info
}

func TestStoredPartsOfUnknownSizeAreSentAgain(t *testing.T) {
	memory, data := store(smallLimits()), testutil.Content(3*part)
	interrupt(t, memory, testutil.Content(4*part), 4, func(o *sluice.Options) { o.Concurrency = 1 })
	o := resumeOptions()
	o.Concurrency = 1
	_, err := sluice.Upload(t.Context(), unsized{memory}, "f", o, writeAll(data))
	require.NoError(t, err)
	require.Equal(t, data, readBack(t, memory, "f"))
}

func TestAStoreThatCannotResumeSaysSo(t *testing.T) {
	l := smallLimits()
	l.Resumable = false
	_, err := sluice.New(t.Context(), store(l), "f", resumeOptions())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.EqualError(t, err, `sluice: resume "f": the store cannot resume: unsupported operation`)
}

func TestStoredPartsThatWereCutTooSmallLowerTheReach(t *testing.T) {
	l := smallLimits()
	l.MaxParts = 10
	memory := store(l)
	o := &sluice.Options{MemoryLimit: 8 * page, PageSize: page, PartSize: page, MaxSize: 10 * page, Concurrency: 1, KeepOnFailure: true}
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(9)))
	_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(testutil.Content(10*page)))
	require.ErrorIs(t, err, faults.ErrInjected)
	o = &sluice.Options{MemoryLimit: 8 * page, PageSize: page, Resume: true, KeepOnFailure: true}
	w, err := sluice.New(t.Context(), memory, "f", o)
	require.NoError(t, err)
	run := (w.Settings().MaxStreamSize - 2*4*page) / page // eight pages, and two parts of four
	require.EqualValues(t, 8, run)
	_, err = w.Write(testutil.Content(17 * page))
	require.ErrorIs(t, err, sluice.ErrTooLarge)
	require.EqualError(t, err, `sluice: write "f": stream passes 256 bytes, the most that the 2 parts left after the stored ones carry (64 bytes each); start a new upload`)
	w.Abort(nil)
	o.MaxSize = 17 * page
	_, err = sluice.New(t.Context(), memory, "f", o)
	require.ErrorIs(t, err, sluice.ErrTooLarge)
}

func TestResumeSweep(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 0))
				memory := store(smallLimits())
				data := testutil.Content(part + 1 + rng.IntN(40*page))
				done := false
				for range 50 { // killed again and again
					o := resumeOptions()
					o.Concurrency = 1 + rng.IntN(4)
					if rng.IntN(2) == 0 {
						o.PartSize = page * int64(1+rng.IntN(4))
					}
					ctx, cancel := context.WithCancel(t.Context())
					b := faults.New(memory, faults.Fail(nil, faults.Nth(1+rng.IntN(15))))
					w, err := sluice.New(ctx, b, "f", o)
					if err != nil {
						require.ErrorIs(t, err, faults.ErrInjected)
						cancel()
						continue
					}
					_, _ = w.ReadFrom(bytes.NewReader(data))
					err = w.Close()
					cancel()
					if err == nil {
						done = true
						break
					}
					require.Empty(t, memory.Names())
					if errors.Is(err, faults.ErrInjected) {
						continue
					}
					// the parts behind a gap were cut differently
					require.ErrorIs(t, err, sluice.ErrResumeMismatch)
					cancelAll(t, memory)
				}
				require.True(t, done)
				require.Equal(t, data, readBack(t, memory, "f"))
				require.Empty(t, memory.Leftovers(""))
			})
		})
	}
}
