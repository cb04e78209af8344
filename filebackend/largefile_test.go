package filebackend_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestFinishWantsPartsThatLieOneAfterTheOther(t *testing.T) {
	for says, parts := range map[string][]*sluice.Part{
		"part 1 is stored at byte 1, the parts before it end at 0":  {part(1, 1, "aa")},
		"part 2 is stored at byte 3, the parts before it end at 2":  {part(1, 0, "aa"), part(2, 3, "bb")},
		"part 1 is stored at byte 2, the parts before it":           {part(1, 2, "aa"), part(2, 0, "bb")},
		"part 1 is not stored, or another part was written over it": {part(1, 0, "aa"), part(2, 1, "bb")},
	} {
		dir := t.TempDir()
		f := start(t, open(t, dir, nil), "x")
		var receipts []sluice.Receipt
		for _, p := range parts {
			receipts = append(receipts, send(t, f, p))
		}
		_, err := f.Finish(context.Background(), receipts, nil)
		require.ErrorContains(t, err, says)
		require.NoFileExists(t, dir+"/x")
		require.NoError(t, f.Cancel(context.Background()))
		require.Empty(t, files(t, dir))
	}
}

func TestFinishWantsTheReceiptsOfWhatIsStored(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "x")
	r1, r2 := send(t, f, part(1, 0, "aa")), send(t, f, part(2, 2, "bb"))
	longer, other := r1, r2
	longer.Size++
	other.Digests = r1.Digests
	for says, receipts := range map[string][]sluice.Receipt{
		"there are no parts":                  {},
		"finished with 1 parts, 2 are stored": {r1},
		"receipt 1 of 2 is of part 2":         {r2, r1},
		"receipt of part 1 says 3 bytes":      {longer, r2},
		"receipt of part 2: its crc32c":       {r1, other},
		"part 3 is not stored":                {r1, r2, {Number: 3}},
	} {
		_, err := f.Finish(context.Background(), receipts, nil)
		require.ErrorContains(t, err, says)
	}
	_, err := f.Finish(context.Background(), []sluice.Receipt{r1, r2}, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "aabb")
}

func TestPartsThatCannotBeAreRefused(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	f, err := b.StartLargeFile(context.Background(), sluice.FileSpec{Name: "x", Size: 4})
	require.NoError(t, err)
	for says, p := range map[string]*sluice.Part{
		"part number 0 is not":       part(0, 0, "a"),
		"part number 100001 is not":  part(100_001, 0, "a"),
		"at least one byte":          part(1, 0, ""),
		"offset -1":                  part(1, -1, "a"),
		"offset 9223372036854775807": part(1, 1<<63-1, "a"),
		"it ends at byte 5":          part(2, 3, "ab"),
	} {
		_, err := f.UploadPart(context.Background(), p)
		require.ErrorContains(t, err, says)
	}
	_, err = f.Finish(context.Background(), []sluice.Receipt{send(t, f, part(1, 0, "abc"))}, nil)
	require.ErrorContains(t, err, "its parts have 3 bytes, its size is declared as 4")
}

func TestAPartSentAgainMayHaveAnotherSize(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "x")
	first := send(t, f, part(1, 0, "first,"))
	send(t, f, part(2, 6, "a long second part"))
	second := send(t, f, part(2, 6, "second"))
	_, err := f.Finish(context.Background(), []sluice.Receipt{first, second}, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "first,second")
}

func TestAPartSentAgainMayLieElsewhere(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir, nil), "x")
	send(t, f, part(1, 9, "cut otherwise"))
	receipts := []sluice.Receipt{send(t, f, part(1, 0, "a")), send(t, f, part(2, 1, "b"))}
	_, err := f.Finish(context.Background(), receipts, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "ab")
}

func TestAPartWrittenOverByAnotherIsNotStoredAnyMore(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	f := start(t, b, "x")
	for i, data := range []string{"11", "22", "33", "44"} {
		send(t, f, part(i+1, int64(2*i), data))
	}
	send(t, f, part(2, 2, "222")) // over half of part 3
	f, err := b.ResumeLargeFile(context.Background(), spec("x"), "")
	require.NoError(t, err)
	var numbers []int
	for _, r := range f.Info().Stored {
		numbers = append(numbers, r.Number)
	}
	require.Equal(t, []int{1, 2, 4}, numbers)
}

// reentrant is a context that calls a function when it is first looked at after armed is set.
type reentrant struct {
	context.Context
	armed bool
	call  func()
}

func (c *reentrant) Err() error {
	if call := c.call; c.armed && call != nil {
		c.call = nil
		call()
	}
	return nil
}

// during sends part 1 of two bytes, and makes a call while they are being written.
func during(t *testing.T, f sluice.LargeFile, call func()) {
	t.Helper()
	ctx := &reentrant{Context: context.Background(), call: call}
	ctx.call = func() { ctx.call = call } // passes over the look before the part is claimed
	ctx.armed = true
	_, err := f.UploadPart(ctx, part(1, 0, "aa"))
	require.NoError(t, err)
	require.Nil(t, ctx.call, "the call was not made")
}

func TestWhileAPartIsWritten(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		call func(sluice.LargeFile) error
		says string
	}{
		"another over its bytes is refused": {func(f sluice.LargeFile) error {
			_, err := f.UploadPart(ctx, part(2, 1, "bb"))
			return err
		}, "overlaps part 1"},
		"it is not taken twice": {func(f sluice.LargeFile) error {
			_, err := f.UploadPart(ctx, part(1, 9, "bb"))
			return err
		}, "part 1 is being uploaded already"},
		"nothing is finished": {func(f sluice.LargeFile) error {
			_, err := f.Finish(ctx, nil, nil)
			return err
		}, "parts (1) are being uploaded"},
		"nothing is cancelled": {func(f sluice.LargeFile) error {
			return f.Cancel(ctx)
		}, "parts (1) are being uploaded"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := start(t, open(t, dir, nil), "x")
			var err error
			during(t, f, func() { err = c.call(f) })
			require.ErrorContains(t, err, c.says)
			require.NoError(t, f.Cancel(ctx))
			require.Empty(t, files(t, dir))
		})
	}
}

func TestWhoResumesOwnsTheLargeFile(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	old := start(t, b, "x")
	send(t, old, part(1, 0, "aa"))
	owner, err := open(t, dir, nil).ResumeLargeFile(context.Background(), spec("x"), old.Info().ID)
	require.NoError(t, err)

	const taken = "another process or handle, which owns it now"
	_, err = old.UploadPart(context.Background(), part(1, 0, "zz"))
	require.ErrorContains(t, err, taken)
	_, err = old.Finish(context.Background(), owner.Info().Stored, nil)
	require.ErrorContains(t, err, taken)
	require.ErrorContains(t, old.Cancel(context.Background()), taken)

	receipts := append(owner.Info().Stored, send(t, owner, part(2, 2, "bb")))
	_, err = owner.Finish(context.Background(), receipts, nil)
	require.NoError(t, err)
	requireContent(t, dir, "x", "aabb")
	require.NoError(t, old.Cancel(context.Background()), "nothing is left to cancel")
	requireContent(t, dir, "x", "aabb")
}

func TestResumeRefusesWhatDiffers(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	was := sluice.FileSpec{Name: "a/x", Size: 4, ContentType: "text/plain", Metadata: map[string]string{"k": "v"}}
	f, err := b.StartLargeFile(context.Background(), was)
	require.NoError(t, err)
	for says, change := range map[string]func(*sluice.FileSpec){
		"it is named \"a/x\"":          func(s *sluice.FileSpec) { s.Name = "a/y" },
		"size is declared as 4, not 5": func(s *sluice.FileSpec) { s.Size = 5 },
		"content type \"text/plain\"":  func(s *sluice.FileSpec) { s.ContentType = "" },
		"it has the metadata map[k:v]": func(s *sluice.FileSpec) { s.Metadata = nil },
		"it is finished or cancelled":  func(s *sluice.FileSpec) { s.Name = "b/x" },
	} {
		other := was
		change(&other)
		_, err := b.ResumeLargeFile(context.Background(), other, f.Info().ID)
		require.ErrorContains(t, err, says)
	}
	listed := unfinished(t, b, "")
	require.Len(t, listed, 1)
	require.Equal(t, was, listed[0].Spec)
	was.Size = sluice.UnknownSize
	_, err = b.ResumeLargeFile(context.Background(), was, "")
	require.NoError(t, err)
}

func TestTheDeclaredSizeHoldsAfterAResumeThatDoesNotKnowIt(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	_, err := b.StartLargeFile(context.Background(), sluice.FileSpec{Name: "x", Size: 4})
	require.NoError(t, err)
	f, err := b.ResumeLargeFile(context.Background(), spec("x"), "")
	require.NoError(t, err)
	_, err = f.Finish(context.Background(), []sluice.Receipt{send(t, f, part(1, 0, "abc"))}, nil)
	require.ErrorContains(t, err, "its size is declared as 4")
}

func TestIDsThatAreNoNamesAreNotFound(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	for _, id := range []string{"../x", "a/b", "..", "x\x00", "x.record"} {
		_, err := b.ResumeLargeFile(context.Background(), spec("x"), id)
		require.ErrorIs(t, err, fs.ErrNotExist, "%q", id)
	}
}

func TestASourceThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	broken := iotest.TimeoutReader(strings.NewReader(noise(1_000_000)))
	_, err := sluice.Upload(context.Background(), b, "x", small(), copyTo(broken))
	require.ErrorIs(t, err, iotest.ErrTimeout)
	require.Empty(t, files(t, dir))
}

// fading is a context that ends when it is looked at for the last time of some.
type fading struct {
	context.Context
	looks int
}

func (c *fading) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestAContextThatEndsAtAnyMomentOfASingleUploadLeavesNothingOrTheFile(t *testing.T) {
	data := noise(3 << 20)
	for n := 0; ; n++ {
		dir := t.TempDir()
		b := open(t, dir, nil)
		p := sluice.NewPart(0, []byte(data), nil)
		_, err := b.UploadFile(&fading{context.Background(), n}, sluice.FileSpec{Name: "x", Size: p.Size}, p)
		if err == nil {
			requireContent(t, dir, "x", data)
			require.Equal(t, []string{"x"}, files(t, dir))
			require.Greater(t, n, 3, "it is looked at for every MiB")
			return
		}
		require.Error(t, err)
		require.Empty(t, files(t, dir))
	}
}

func TestAContextThatEndsAtAnyMomentOfAPartLeavesItUnsent(t *testing.T) {
	data := noise(3 << 20)
	dir := t.TempDir()
	b := open(t, dir, nil)
	f := start(t, b, "x")
	for n := 0; ; n++ {
		r, err := f.UploadPart(&fading{context.Background(), n}, part(1, 0, data))
		if err != nil {
			_, err = f.Finish(context.Background(), []sluice.Receipt{{Number: 1, Size: int64(len(data))}}, nil)
			require.ErrorContains(t, err, "part 1 is not stored")
			continue
		}
		_, err = f.Finish(context.Background(), []sluice.Receipt{r}, nil)
		require.NoError(t, err)
		requireContent(t, dir, "x", data)
		require.Greater(t, n, 3, "it is looked at for every MiB")
		return
	}
}
