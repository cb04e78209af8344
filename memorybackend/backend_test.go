package memorybackend_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

var bg = context.Background()

func TestSHA256IsTheStandardHash(t *testing.T) {
	data := bytes.Repeat([]byte("some bytes "), 1000)
	want := sha256.Sum256(data)
	a := memorybackend.SHA256()
	require.Equal(t, "sha256", a.Name)
	require.Equal(t, want[:], digests(data, []sluice.Algorithm{a})[0].Sum)
}

func TestFinishNeedsTheLatestReceiptsOfAllParts(t *testing.T) {
	for name, spoil := range map[string]func([]sluice.Receipt) []sluice.Receipt{
		"fewer than stored": func(r []sluice.Receipt) []sluice.Receipt { return r[:2] },
		"more than stored":  func(r []sluice.Receipt) []sluice.Receipt { return append(r, sluice.Receipt{Number: 4}) },
		"one twice":         func(r []sluice.Receipt) []sluice.Receipt { r[2] = r[1]; return r },
		"another size":      func(r []sluice.Receipt) []sluice.Receipt { r[1].Size++; return r },
		"another tag":       func(r []sluice.Receipt) []sluice.Receipt { r[1].ETag += "x"; return r },
		"no digest":         func(r []sluice.Receipt) []sluice.Receipt { r[1].Digests = nil; return r },
		"another digest":    func(r []sluice.Receipt) []sluice.Receipt { r[1].Digests = r[0].Digests; return r },
	} {
		t.Run(name, func(t *testing.T) {
			b := memorybackend.New(nil)
			f := start(t, b, spec("x"))
			receipts := send(t, b, f, []byte("one"), []byte("two!"), []byte("three"))
			_, err := f.Finish(bg, spoil(append([]sluice.Receipt(nil), receipts...)), nil)
			require.Error(t, err)
			require.Empty(t, b.Names())
			_, err = f.Finish(bg, receipts, nil)
			require.NoError(t, err, "the refusal changed nothing")
		})
	}
}

func TestFinishNeedsAPart(t *testing.T) {
	b := memorybackend.New(&memorybackend.Options{Limits: &sluice.Limits{}})
	_, err := start(t, b, spec("x")).Finish(bg, nil, nil)
	require.ErrorContains(t, err, "is finished with 0 parts, at least 1 are needed")
	require.Empty(t, b.Names())
}

func TestFinishChecksSizes(t *testing.T) {
	limits := memorybackend.DefaultLimits()
	limits.MinPart, limits.MaxFile = 3, 10
	for _, c := range []struct {
		declared int64
		parts    string
		message  string
	}{
		{sluice.UnknownSize, "abc d", ""},
		{sluice.UnknownSize, "ab cd", "part 1 of large file mem-1 has 2 bytes, all but the last have at least 3"},
		{sluice.UnknownSize, "abc ", "part 2 of large file mem-1 is empty"},
		{sluice.UnknownSize, "abcdef ghijk", "have 11 bytes, a file has at most 10"},
		{6, "abc de", "have 5 bytes, its size is declared as 6"},
		{5, "abc de", ""},
	} {
		t.Run(c.parts, func(t *testing.T) {
			b := memorybackend.New(&memorybackend.Options{Limits: &limits})
			f := start(t, b, sluice.FileSpec{Name: "x", Size: c.declared})
			_, err := f.Finish(bg, send(t, b, f, bytes.Split([]byte(c.parts), []byte(" "))...), nil)
			if c.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.message)
			require.Len(t, b.Leftovers(""), 1)
		})
	}
}

func TestDigestsThatAreOwedMustBeThere(t *testing.T) {
	b := memorybackend.New(nil)
	f := start(t, b, spec("x"))
	_, err := f.UploadPart(bg, sluice.NewPart(1, []byte("x"), nil))
	require.ErrorContains(t, err, "sha256 digest is missing")
	_, err = b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: 1}, sluice.NewPart(0, []byte("x"), nil))
	require.ErrorContains(t, err, "sha256 digest is missing")
}

func TestUploadFileNeedsTheDeclaredSizeAndNumberZero(t *testing.T) {
	b := memorybackend.New(nil)
	_, err := b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: 2}, part(b, 0, []byte("x")))
	require.ErrorContains(t, err, "has 1 bytes, its size is declared as 2")
	_, err = b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: 1}, part(b, 1, []byte("x")))
	require.ErrorContains(t, err, "part number 1, not 0")
	require.Empty(t, b.Names())
}

func TestFinishAndCancelDuringUploadPartAreMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memorybackend.New(&memorybackend.Options{Latency: time.Second})
		f := start(t, b, spec("x"))
		done := make(chan error)
		go func() {
			_, err := f.UploadPart(bg, part(b, 1, []byte("x")))
			done <- err
		}()
		synctest.Wait()
		_, err := f.Finish(bg, nil, nil)
		require.ErrorContains(t, err, "while parts (1) are being uploaded")
		synctest.Wait()
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		require.NoError(t, <-done)

		go func() {
			time.Sleep(time.Second / 2)
			_, err := f.UploadPart(bg, part(b, 2, []byte("x")))
			done <- err
		}()
		require.ErrorContains(t, f.Cancel(ctx), "while parts (1) are being uploaded")
		require.Empty(t, b.Leftovers(""))
		require.ErrorContains(t, <-done, "is cancelled")
	})
}

func TestPlanDividesTheFileAsTheLimitsAllow(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits sluice.Limits
		part   int64
		size   int64
		want   []int64 // nil: refused
	}{
		{"a last smaller part", sluice.Limits{}, 10, 25, []int64{10, 10, 5}},
		{"no remainder", sluice.Limits{}, 10, 20, []int64{10, 10}},
		{"an empty file is one empty part", sluice.Limits{}, 10, 0, []int64{0}},
		{"larger parts keep MaxParts", sluice.Limits{MaxParts: 2}, 10, 25, []int64{13, 12}},
		{"smaller parts keep MinParts", sluice.Limits{MinParts: 2}, 10, 7, []int64{3, 3, 1}},
		{"MinPart is the default", sluice.Limits{MinPart: 4}, 0, 9, []int64{4, 4, 1}},
		{"parts above MaxPart are refused", sluice.Limits{MaxParts: 2, MaxPart: 12}, 10, 25, nil},
		{"too little for MinParts", sluice.Limits{MinParts: 2, MinPart: 5}, 10, 5, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.limits.ServerSizesParts = true
			b := memorybackend.New(&memorybackend.Options{Limits: &c.limits, PlanPart: c.part})
			f, err := b.StartLargeFile(bg, sluice.FileSpec{Name: "x", Size: c.size})
			if c.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, f.Info().PartSizes)
		})
	}
}

func TestAPlanningStoreWantsTheSize(t *testing.T) {
	b := memorybackend.New(&memorybackend.Options{Limits: &sluice.Limits{ServerSizesParts: true}})
	require.ErrorIs(t, b.Check(spec("x")), sluice.ErrSizeRequired)
	_, err := b.StartLargeFile(bg, spec("x"))
	require.ErrorIs(t, err, sluice.ErrSizeRequired)
}

func TestResumeComparesWhatWasStarted(t *testing.T) {
	b := memorybackend.New(nil)
	s := sluice.FileSpec{Name: "x", Size: 5, ContentType: "text/plain", Metadata: map[string]string{"a": "b"}}
	id := start(t, b, s).Info().ID
	for name, change := range map[string]func(*sluice.FileSpec){
		"is named":             func(s *sluice.FileSpec) { s.Name = "y" },
		"has 5 bytes":          func(s *sluice.FileSpec) { s.Size = 6 },
		"has the content type": func(s *sluice.FileSpec) { s.ContentType = "" },
		"has other metadata":   func(s *sluice.FileSpec) { s.Metadata = nil },
	} {
		other := s
		change(&other)
		_, err := b.ResumeLargeFile(bg, other, id)
		require.ErrorContains(t, err, name)
	}
	s.Size = sluice.UnknownSize
	_, err := b.ResumeLargeFile(bg, s, id)
	require.NoError(t, err)
}

func TestFileDescribesWhatWasStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := memorybackend.DefaultLimits()
		limits.WholeDigests = limits.PartDigests
		b := memorybackend.New(&memorybackend.Options{Limits: &limits})
		info := map[string]string{"key": "value"}
		s := sluice.FileSpec{Name: "dir/x", Size: sluice.UnknownSize, ContentType: "a/b", Metadata: info}
		f := start(t, b, s)
		info["key"] = "changed by the caller"
		file, err := f.Finish(bg, send(t, b, f, []byte("one"), []byte("two")), digests([]byte("onetwo"), limits.WholeDigests))
		require.NoError(t, err)

		got, ok := b.File("dir/x")
		require.True(t, ok)
		require.Equal(t, file, got.File)
		require.Equal(t, sluice.File{
			ID: f.Info().ID, Name: "dir/x", Size: 6, Parts: 2, Digests: digests([]byte("onetwo"), limits.WholeDigests),
		}, got.File)
		require.Equal(t, map[string]string{"key": "value"}, got.Metadata)
		require.Equal(t, "a/b", got.ContentType)
		require.True(t, time.Now().Equal(got.Modified))
		_, ok = b.File("none")
		require.False(t, ok)
	})
}

func TestOpenReadsAcrossParts(t *testing.T) {
	b := memorybackend.New(nil)
	whole := []byte("a few parts of odd lengths")
	putLarge(t, b, "x", whole[:1], whole[1:8], whole[8:15], whole[15:])
	f, err := b.Open("x")
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(f, whole), "Read, Seek and ReadAt")
	_, err = f.Seek(5, io.SeekStart)
	require.NoError(t, err)
	var rest bytes.Buffer
	n, err := rest.ReadFrom(f)
	require.NoError(t, err)
	require.EqualValues(t, len(whole)-5, n)
	require.Equal(t, whole[5:], rest.Bytes())
	require.NoError(t, f.Close())
}

func TestAReaderKeepsTheFileItOpened(t *testing.T) {
	b := memorybackend.New(nil)
	putSingle(t, b, "x", []byte("old"))
	f, err := b.Open("x")
	require.NoError(t, err)
	putLarge(t, b, "x", []byte("new"), []byte("er"))
	old, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
	require.Equal(t, "newer", string(read(t, b, "x")))
}

func TestLatencyAndBandwidthTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memorybackend.New(&memorybackend.Options{Latency: time.Second, Bandwidth: 100})
		began := time.Now()
		f := start(t, b, spec("x"))
		require.Equal(t, time.Second, time.Since(began))

		receipts := make([]sluice.Receipt, 3)
		var group errgroup.Group
		for i := range receipts {
			group.Go(func() (err error) {
				receipts[i], err = f.UploadPart(bg, part(b, i+1, make([]byte, 500)))
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.Equal(t, 1*time.Second+6*time.Second, time.Since(began), "every call has a connection of its own")

		ctx, cancel := context.WithTimeout(bg, time.Second/2)
		defer cancel()
		_, err := f.Finish(ctx, receipts, nil)
		require.NoError(t, err, "a Finish under way does not depend on its context")
		require.Equal(t, 8*time.Second, time.Since(began))
	})
}

func TestAContextEndsASlowUpload(t *testing.T) {
	for _, discard := range []bool{false, true} {
		t.Run(fmt.Sprintf("discard=%v", discard), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := memorybackend.New(&memorybackend.Options{Bandwidth: 1, Discard: discard})
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				began := time.Now()
				_, err := b.UploadFile(ctx, sluice.FileSpec{Name: "x", Size: 1000}, part(b, 0, make([]byte, 1000)))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, time.Minute, time.Since(began))
				require.Empty(t, b.Names())
			})
		})
	}
}

func TestDiscardKeepsEverythingButTheBytes(t *testing.T) {
	b := memorybackend.New(&memorybackend.Options{Discard: true})
	file := putLarge(t, b, "x", []byte("one"), []byte("two"))
	require.EqualValues(t, 6, file.Size)
	f, err := b.Open("x")
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 6, info.Size())
	_, err = io.ReadAll(f)
	require.ErrorContains(t, err, "Options.Discard")

	large := start(t, b, spec("y"))
	receipts := send(t, b, large, []byte("one"), []byte("two"))
	receipts[0].Digests = receipts[1].Digests
	_, err = large.Finish(bg, receipts, nil)
	require.ErrorContains(t, err, "its sha256 is")
}

func TestDiscardAllocatesNoMoreThanTheReceipt(t *testing.T) {
	b := memorybackend.New(&memorybackend.Options{Discard: true})
	f := start(t, b, spec("x"))
	data := make([]byte, 1<<20)
	p := part(b, 1, data)
	body := testing.AllocsPerRun(100, func() {
		_, _ = p.Attempt().WriteTo(io.Discard)
	})
	allocations := testing.AllocsPerRun(100, func() {
		_, err := f.UploadPart(bg, p)
		if err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, allocations-body, 3.0, "the tag, the list of digests, the sum")
}

func TestErrorsNameTheValueAndTheLimit(t *testing.T) {
	limits := sluice.Limits{MaxParts: 7, MaxPart: 9, MaxFile: 11, MaxSingle: 5}
	b := memorybackend.New(&memorybackend.Options{Limits: &limits})
	f := start(t, b, spec("x"))
	_, number := f.UploadPart(bg, part(b, 8, nil))
	_, size := f.UploadPart(bg, part(b, 1, make([]byte, 10)))
	_, single := b.UploadFile(bg, sluice.FileSpec{Name: "x", Size: 6}, part(b, 0, make([]byte, 6)))
	for want, err := range map[string]error{
		"part number 8 is above the largest, 7":          number,
		"part 1 has 10 bytes, a part has at most 9":      size,
		`"x" has 6 bytes, a single upload at most 5`:     single,
		"size 12 of \"x\" is above the largest file, 11": b.Check(sluice.FileSpec{Name: "x", Size: 12}),
		"size -2 of \"x\" is negative":                   b.Check(sluice.FileSpec{Name: "x", Size: -2}),
	} {
		require.ErrorContains(t, err, want)
		require.True(t, strings.HasPrefix(err.Error(), "memorybackend: "))
	}
	require.ErrorIs(t, b.Check(sluice.FileSpec{Name: "x", Size: 12}), sluice.ErrTooLarge)
}
