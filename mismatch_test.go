package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// storedParts is the parts 1 to 17 of a stream of 20, as a killed run leaves
// them.
func storedParts(t *testing.T) (memory *memorybackend.Backend, data []byte, id string) {
	t.Helper()
	memory, data = store(smallLimits()), testutil.Content(20*part)
	return memory, data, interrupt(t, memory, data, 18, func(o *sluice.Options) { o.Concurrency = 1 })
}

// differing is data with another byte at the offset.
func differing(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at]++
	return data
}

// requireStored checks that the parts of the large file are the ones that data
// is cut into.
func requireStored(t *testing.T, memory *memorybackend.Backend, id string, data []byte, parts int) {
	t.Helper()
	large, err := memory.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize}, id)
	require.NoError(t, err)
	stored := large.Info().Stored
	require.Len(t, stored, parts)
	for i, r := range stored {
		require.Equal(t, i+1, r.Number)
		require.Equal(t, sum256(data[i*part:(i+1)*part]), r.Digests.Get("sha256"))
	}
}

func cancelAll(t *testing.T, b sluice.Backend) {
	t.Helper()
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		large, err := b.ResumeLargeFile(t.Context(), u.Spec, u.ID)
		require.NoError(t, err)
		require.NoError(t, large.Cancel(t.Context()))
	}
}

// mismatches are streams that are not the stored one. Those whose size is
// declared are known by that.
var mismatches = map[string]func(data []byte) []byte{
	"empty":                         func([]byte) []byte { return nil },
	"ends in the first part":        func(d []byte) []byte { return d[:5] },
	"ends with the first part":      func(d []byte) []byte { return d[:part] },
	"ends in the second part":       func(d []byte) []byte { return d[:part+1] },
	"ends between parts":            func(d []byte) []byte { return d[:9*part] },
	"ends in the last stored part":  func(d []byte) []byte { return d[:17*part-1] },
	"differs in the first part":     func(d []byte) []byte { return differing(d, 3) },
	"differs in a later part":       func(d []byte) []byte { return differing(d, 9*part) },
	"differs in the last part":      func(d []byte) []byte { return differing(d, 17*part-1) },
	"differs everywhere":            func(d []byte) []byte { return testutil.Content(len(d) + 1)[1:] },
	"differs, and ends in part one": func(d []byte) []byte { return differing(d[:5], 3) },
}

func TestResume_RejectsAStreamThatDoesNotMatchAndKeepsWhatIsStored(t *testing.T) {
	for name, change := range mismatches {
		for _, declared := range []bool{false, true} {
			for _, byID := range []bool{false, true} {
				for _, keep := range []bool{false, true} {
					t.Run(fmt.Sprint(name, " declared=", declared, " byID=", byID, " onFailure=", keep), func(t *testing.T) {
						memory, data, id := storedParts(t)
						b := faults.New(memory)
						o := resumeOptions()
						o.KeepOnFailure = keep
						if byID {
							o.Resume, o.ResumeID = false, id
						}
						stream := change(data)
						if declared {
							o.Size = int64(len(stream))
						}
						_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(stream))
						require.ErrorIs(t, err, sluice.ErrResumeMismatch)
						require.ErrorContains(t, err, id)
						require.Empty(t, memory.Names())
						require.Empty(t, b.Calls(faults.Cancel))
						require.Empty(t, b.Calls(faults.UploadPart))
						require.Len(t, memory.Leftovers(""), 1)
						requireStored(t, memory, id, data, 17)
					})
				}
			}
		}
	}
}

func TestResume_SaysHowAStreamDoesNotMatch(t *testing.T) {
	for text, change := range map[string]func([]byte) []byte{
		`sluice: resume "f": unfinished large file does not match the stream: large file mem-1: 544 bytes are stored, and the stream ended after 288; large file mem-1 is kept unfinished`: func(d []byte) []byte { return d[:9*part] },
		fmt.Sprintf(`sluice: resume part 3 of "f": unfinished large file does not match the stream: large file mem-1: part 3 has sha256 %x, and the stream's has %x; large file mem-1 is kept unfinished`,
			sum256(testutil.Content(3 * part)[2*part:]), sum256(differing(testutil.Content(3*part), 2*part)[2*part:])): func(d []byte) []byte { return differing(d, 2*part) },
	} {
		memory, data, _ := storedParts(t)
		_, err := sluice.Upload(t.Context(), memory, "f", resumeOptions(), writeAll(change(data)))
		require.EqualError(t, err, text)
	}
	memory, _, _ := storedParts(t)
	o := resumeOptions()
	o.Size = 100
	_, err := sluice.New(t.Context(), memory, "f", o)
	require.EqualError(t, err, `sluice: resume "f": unfinished large file does not match the stream: large file mem-1: 544 bytes are stored, and the stream's declared size is 100; large file mem-1 is kept unfinished`)
}

func TestResume_StopsTheSourceAsSoonAsAPartDiffers(t *testing.T) {
	memory, data, _ := storedParts(t)
	w, err := sluice.New(t.Context(), memory, "f", resumeOptions())
	require.NoError(t, err)
	_, err = w.Write(differing(data, 2*part)[:3*part+1])
	if err == nil {
		<-w.Done()
		_, err = w.Write(data[3*part+1:])
	}
	require.ErrorIs(t, err, sluice.ErrResumeMismatch)
	require.ErrorIs(t, w.Close(), sluice.ErrResumeMismatch)
}

// A part that the stored one proves wrong must not let later ones reach the
// large file.
func TestResume_SendsNothingAfterAPartThatDiffers(t *testing.T) {
	memory, data := store(smallLimits()), testutil.Content(20*part)
	id := interrupt(t, memory, data, 4, func(o *sluice.Options) { o.Concurrency = 1 })
	for range 20 {
		b := faults.New(memory)
		_, err := sluice.Upload(t.Context(), b, "f", resumeOptions(), writeAll(differing(data, 2*part)))
		require.ErrorIs(t, err, sluice.ErrResumeMismatch)
		require.Empty(t, b.Calls(faults.UploadPart))
	}
	requireStored(t, memory, id, data, 3)
}

// The first part was under way when the run was killed: nothing is stored
// without a gap before it.
func TestResume_RejectsAnotherStreamBehindAGap(t *testing.T) {
	for _, missing := range []int{1, 2, 9} {
		memory, data := store(smallLimits()), testutil.Content(20*part)
		large, err := memory.StartLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize})
		require.NoError(t, err)
		for n := 1; n <= 17; n++ {
			if n != missing {
				piece := data[(n-1)*part : n*part]
				_, err := large.UploadPart(t.Context(), sluice.NewPart(n, piece, sluice.Digests{{Name: "sha256", Sum: sum256(piece)}}))
				require.NoError(t, err)
			}
		}
		stored := func() []sluice.Receipt {
			again, err := memory.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "f", Size: sluice.UnknownSize}, large.Info().ID)
			require.NoError(t, err)
			return slices.DeleteFunc(again.Info().Stored, func(r sluice.Receipt) bool { return r.Number == missing })
		}
		before := stored()
		_, err = sluice.Upload(t.Context(), memory, "f", resumeOptions(), writeAll(differing(data, 9*part)))
		require.ErrorIs(t, err, sluice.ErrResumeMismatch)
		require.Equal(t, before, stored())
		_, err = sluice.Upload(t.Context(), memory, "f", resumeOptions(), writeAll(data))
		require.NoError(t, err)
		require.Equal(t, data, readBack(t, memory, "f"))
	}
}

// A stream is killed three times, each time with other settings, and with a gap
// in what is stored. It is stored whole or rejected, and never lost.
func TestResume_StoresOrRejectsAStreamThatWasCutDifferentlyThreeTimes(t *testing.T) {
	whole := 0
	for seed := range 100 {
		memory, data := store(smallLimits()), testutil.Content(20*part+seed)
		interrupt(t, memory, data, 2+seed%9, nil)
		// A run in which fewer parts are left than the one that fails ends well.
		finished := false
		for run := 0; run < 2 && !finished; run++ {
			o := resumeOptions()
			o.PartSize = int64(page * (1 + (seed+run)%4))
			o.Concurrency = 1 + (seed+2*run)%4
			b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(1+(seed/4+run)%5)))
			_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(data))
			if finished = err == nil; !finished {
				require.Len(t, memory.Leftovers(""), 1)
			}
		}
		if finished {
			require.Equal(t, data, readBack(t, memory, "f"))
			continue
		}
		_, err := sluice.Upload(t.Context(), memory, "f", resumeOptions(), writeAll(data))
		if err != nil {
			require.ErrorIs(t, err, sluice.ErrResumeMismatch)
			require.Len(t, memory.Leftovers(""), 1, "what is stored stays")
			var whys []error
			for range 2 {
				if _, err = sluice.Upload(t.Context(), memory, "f", restartOptions(&whys), writeAll(data)); err == nil {
					break
				}
			}
			require.NoError(t, err)
		} else {
			whole++
		}
		require.Equal(t, data, readBack(t, memory, "f"))
	}
	require.Positive(t, whole, "few of these streams are rejected, and in some runs none")
}

func TestResume_KeepsTheLargeFileAfterEveryFailure(t *testing.T) {
	errSource := errors.New("source broke")
	for name, fail := range map[string]func(w *sluice.LargeFileWriter, cancel context.CancelFunc){
		"abort":   func(w *sluice.LargeFileWriter, _ context.CancelFunc) { w.Abort(nil) },
		"context": func(_ *sluice.LargeFileWriter, cancel context.CancelFunc) { cancel() },
		"source": func(w *sluice.LargeFileWriter, _ context.CancelFunc) {
			_, _ = w.ReadFrom(testutil.ReaderFunc(func([]byte) (int, error) { return 0, errSource }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			memory, data, id := storedParts(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := resumeOptions()
			o.KeepOnFailure = false
			w, err := sluice.New(ctx, memory, "f", o)
			require.NoError(t, err)
			fail(w, cancel)
			var failure *sluice.Error
			require.ErrorAs(t, w.Close(), &failure)
			require.Equal(t, id, failure.LargeFile)
			requireStored(t, memory, id, data, 17)
		})
	}
}

func TestResume_ReplacesALargeFileByAnUploadInOneCallThatIsAsLong(t *testing.T) {
	for _, size := range []int{part, part + 1} {
		memory, data := store(smallLimits()), testutil.Content(20*part)
		// one part is stored
		interrupt(t, memory, data, 2, func(o *sluice.Options) { o.Concurrency = 1 })
		w, err := sluice.New(t.Context(), memory, "f", resumeOptions())
		require.NoError(t, err)
		mustWrite(t, w, size)
		require.NoError(t, w.Close())
		require.Equal(t, data[:size], readBack(t, memory, "f"))
		require.Empty(t, memory.Leftovers(""))
	}
}

func TestResume_KeepsALargeFileThatAnUploadInOneCallIsNotKnownToReplace(t *testing.T) {
	memory := store(smallLimits())
	id := interrupt(t, memory, testutil.Content(20*part), 2, func(o *sluice.Options) { o.Concurrency = 1 })
	f, err := sluice.Upload(t.Context(), unsized{memory}, "f", resumeOptions(), writeAll(testutil.Content(part)))
	require.NoError(t, err)
	require.Zero(t, f.Parts)
	requireStored(t, memory, id, testutil.Content(part), 1)
}

func restartOptions(whys *[]error) *sluice.Options {
	o := resumeOptions()
	o.RestartOnMismatch = true
	o.Hooks = &sluice.Hooks{Restarted: func(why error) { *whys = append(*whys, why) }}
	return o
}

// Whatever the mismatch, the stream is stored by the second run at the latest.
// What was stored goes when something as long is there.
func TestRestart_StoresEveryStreamThatDoesNotMatch(t *testing.T) {
	for name, change := range mismatches {
		for _, declared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " declared=", declared), func(t *testing.T) {
				memory, data, id := storedParts(t)
				stream := change(data)
				var whys []error
				run := func(b sluice.Backend) error {
					o := restartOptions(&whys)
					if declared {
						o.Size = int64(len(stream))
					}
					_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(stream))
					return err
				}
				first := faults.New(memory)
				err := run(first)
				inMemory := bytes.Equal(stream[min(len(stream), part):], data[part:]) || len(stream) <= part || declared && len(stream) < 17*part
				if !inMemory && bytes.Equal(stream[:part], data[:part]) {
					require.ErrorIs(t, err, sluice.ErrResumeMismatch)
					var failure *sluice.Error
					require.ErrorAs(t, err, &failure)
					require.Equal(t, "mem-2", failure.LargeFile)
					require.Empty(t, memory.Names())
					requireStored(t, memory, id, data, 17)
					require.Empty(t, first.Calls(faults.UploadPart))
					require.Empty(t, whys)
					require.NoError(t, run(memory))
					require.Empty(t, whys, "the newest large file is empty")
					require.Equal(t, stream, readBack(t, memory, "f"))
					requireStored(t, memory, id, data, 17)
					require.Len(t, memory.Leftovers(""), 1)
					require.NoError(t, run(memory), "nor is the older one resumed after that")
					require.Empty(t, whys)
					return
				}
				require.NoError(t, err)
				require.Len(t, whys, 1)
				require.ErrorIs(t, whys[0], sluice.ErrResumeMismatch)
				require.Equal(t, len(stream), len(readBack(t, memory, "f")))
				require.True(t, bytes.Equal(stream, readBack(t, memory, "f")))
				if len(stream) >= 17*part {
					require.Empty(t, memory.Leftovers(""))
					return
				}
				requireStored(t, memory, id, data, 17)
				require.Len(t, memory.Leftovers(""), 1, "a shorter file replaces nothing")
				require.NoError(t, run(memory), "and does not stop the next run")
				require.Len(t, whys, 1, "which passes over what is older than the file")
			})
		}
	}
}

func TestRestart_CancelsTheEarlierLargeFileOnlyAfterTheNewOneIsFinished(t *testing.T) {
	for _, kind := range []faults.Kind{faults.StartLargeFile, faults.UploadPart, faults.Finish} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " lost=", lost), func(t *testing.T) {
				memory, data, id := storedParts(t)
				fault := faults.Fail(nil, faults.OnKind(kind))
				if lost {
					fault = faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(kind))
				}
				b := faults.New(memory, fault)
				var whys []error
				_, err := sluice.Upload(t.Context(), b, "f", restartOptions(&whys), writeAll(differing(data, 0)))
				require.Error(t, err)
				require.Empty(t, b.Calls(faults.Cancel))
				requireStored(t, memory, id, data, 17)
				var failure *sluice.Error
				require.ErrorAs(t, err, &failure)
				require.NotEmpty(t, failure.LargeFile)
			})
		}
	}
}

func TestRestart_StoresTheStreamThoughTheEarlierLargeFileCannotBeCancelled(t *testing.T) {
	memory, data, _ := storedParts(t)
	var whys []error
	_, err := sluice.Upload(t.Context(), faults.New(memory, faults.Fail(nil, faults.OnKind(faults.Cancel))), "f", restartOptions(&whys), writeAll(differing(data, 0)))
	require.NoError(t, err)
	require.Equal(t, differing(data, 0), readBack(t, memory, "f"))
	require.Len(t, memory.Leftovers(""), 1)
}

func TestRestart_SaysWhyTheNextRunCannotStartAnew(t *testing.T) {
	memory, data, id := storedParts(t)
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.StartLargeFile)))
	var whys []error
	_, err := sluice.Upload(t.Context(), b, "f", restartOptions(&whys), writeAll(differing(data, 5*part)))
	require.ErrorIs(t, err, sluice.ErrResumeMismatch)
	require.ErrorContains(t, err, "; large file "+id+" is kept unfinished, starting a new one failed: faults: injected failure")
	var failure *sluice.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, id, failure.LargeFile)
	require.Equal(t, faults.ErrInjected, failure.Cleanup)
	requireStored(t, memory, id, data, 17)
}

func TestRestart_ResumesAStreamThatMatches(t *testing.T) {
	memory, data, id := storedParts(t)
	b := faults.New(memory)
	var whys []error
	f, err := sluice.Upload(t.Context(), b, "f", restartOptions(&whys), writeAll(data))
	require.NoError(t, err)
	require.Equal(t, id, f.ID)
	require.Empty(t, whys)
	for _, c := range b.Calls(faults.UploadPart) {
		require.Greater(t, c.Part, 17)
	}
	require.Equal(t, data, readBack(t, memory, "f"))
}

// The first part is compared where its pages are.
func TestRestart_ComparesTheFirstPartInAFilePoolToo(t *testing.T) {
	memory, data, _ := storedParts(t)
	var whys []error
	o := restartOptions(&whys)
	o.BufferDir = t.TempDir()
	_, err := sluice.Upload(t.Context(), memory, "f", o, writeAll(differing(data, 0)))
	require.NoError(t, err)
	require.Len(t, whys, 1)
	require.Equal(t, differing(data, 0), readBack(t, memory, "f"))
	require.Empty(t, memory.Leftovers(""))
}

// A large file that was started for something else cannot take the stream, and
// must not stop it for ever.
func TestRestart_StartsAnewWhereTheLargeFileIsForAnotherSizeTypeOrMetadata(t *testing.T) {
	for name, change := range map[string]func(*sluice.Options){
		"size":         func(o *sluice.Options) { o.Size = 21 * part },
		"content type": func(o *sluice.Options) { o.ContentType = "text/plain" },
		"metadata":     func(o *sluice.Options) { o.Metadata = map[string]string{"host": "a"} },
	} {
		t.Run(name, func(t *testing.T) {
			memory, data := store(smallLimits()), testutil.Content(20*part)
			interrupt(t, memory, data, 18, func(o *sluice.Options) { o.Concurrency, o.Size = 1, 20*part })
			stream := slices.Concat(data, testutil.Content(part))
			o := resumeOptions()
			change(o)
			_, err := sluice.New(t.Context(), memory, "f", o)
			require.ErrorIs(t, err, sluice.ErrResumeMismatch)
			var whys []error
			o = restartOptions(&whys)
			change(o)
			_, err = sluice.Upload(t.Context(), memory, "f", o, writeAll(stream))
			require.NoError(t, err)
			require.Len(t, whys, 1)
			require.Equal(t, stream, readBack(t, memory, "f"))
		})
	}
}

func TestRestart_StartsAnewWhereTheStoredPartsWereCutTooSmall(t *testing.T) {
	l := smallLimits()
	l.MaxParts = 10
	memory := store(l)
	o := &sluice.Options{MemoryLimit: 8 * page, PageSize: page, PartSize: page, MaxSize: 10 * page, Concurrency: 1, KeepOnFailure: true}
	b := faults.New(memory, faults.Fail(nil, faults.OnKind(faults.UploadPart), faults.Nth(9)))
	_, err := sluice.Upload(t.Context(), b, "f", o, writeAll(testutil.Content(10*page)))
	require.ErrorIs(t, err, faults.ErrInjected)
	o = &sluice.Options{MemoryLimit: 8 * page, PageSize: page, Resume: true, RestartOnMismatch: true}
	_, err = sluice.Upload(t.Context(), memory, "f", o, writeAll(testutil.Content(17*page)))
	require.NoError(t, err)
	require.Equal(t, testutil.Content(17*page), readBack(t, memory, "f"))
	require.Empty(t, memory.Leftovers(""))
}

func TestRestart_NeedsResumeWithoutAnID(t *testing.T) {
	for _, o := range []*sluice.Options{{RestartOnMismatch: true}, {RestartOnMismatch: true, Resume: true, ResumeID: "x"}} {
		_, err := sluice.New(t.Context(), store(smallLimits()), "f", o)
		require.EqualError(t, err, `sluice: open "f": Options.RestartOnMismatch needs Resume, and goes with no ResumeID`)
	}
}
