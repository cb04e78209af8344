package filebackend

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

var errDisk = errors.New("the disk is unwell")

// readyToFinish is a large file whose only part is stored.
func readyToFinish(t *testing.T) (b *Backend, dir string, finish func() error, cancel func() error) {
	dir = t.TempDir()
	b, err := New(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	ctx := context.Background()
	f, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "x", Size: sluice.UnknownSize})
	require.NoError(t, err)
	r, err := f.UploadPart(ctx, sluice.NewPart(1, []byte("data"), nil))
	require.NoError(t, err)
	return b, dir, func() error {
		_, err := f.Finish(ctx, []sluice.Receipt{r}, nil)
		return err
	}, func() error { return f.Cancel(ctx) }
}

func TestARenameThatFailedLeavesTheLargeFileUnfinished(t *testing.T) {
	b, dir, finish, _ := readyToFinish(t)
	works := b.publish
	b.publish = func(string, string) error { return errDisk }
	err := finish()
	require.ErrorIs(t, err, errDisk)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	require.NoFileExists(t, filepath.Join(dir, "x"))
	b.publish = works
	require.NoError(t, finish(), "it can be finished later")
	require.FileExists(t, filepath.Join(dir, "x"))
}

func TestARenameOntoAFolderLeavesTheLargeFileUnfinished(t *testing.T) {
	b, dir, finish, cancel := readyToFinish(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x"), 0o777))
	err := finish()
	require.Error(t, err)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	for _, err := range b.Unfinished(context.Background(), "x") {
		require.NoError(t, err)
	}
	require.NoError(t, cancel())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the folder is left")
}

func TestARenameThatWorkedAndSaysItFailedHasFinishedTheFile(t *testing.T) {
	b, dir, finish, cancel := readyToFinish(t)
	works := b.publish
	b.publish = func(from, to string) error { return errors.Join(works(from, to), errDisk) }
	require.NoError(t, finish())
	require.NoError(t, cancel())
	require.FileExists(t, filepath.Join(dir, "x"))
}

func TestARenameAfterWhichNothingIsFoundIsUnknown(t *testing.T) {
	b, _, finish, _ := readyToFinish(t)
	b.publish = func(from, _ string) error { return errors.Join(b.root.Remove(from), errDisk) }
	err := finish()
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorIs(t, err, errDisk)
}

func TestARenameThatCannotBeSyncedIsUnknown(t *testing.T) {
	b, dir, finish, cancel := readyToFinish(t)
	b.syncFolders = func(string) error { return errDisk }
	err := finish()
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorIs(t, err, errDisk)
	require.FileExists(t, filepath.Join(dir, "x"))
	require.NoError(t, cancel())
	require.FileExists(t, filepath.Join(dir, "x"), "cancelling leaves it alone")
}

func TestDataThatCannotBeSyncedIsNotFinishedAndNotRecorded(t *testing.T) {
	b, dir, finish, _ := readyToFinish(t)
	b.syncFile = func(*os.File) error { return errDisk }
	require.ErrorIs(t, finish(), errDisk)
	require.NoFileExists(t, filepath.Join(dir, "x"))

	f, err := b.ResumeLargeFile(context.Background(), sluice.FileSpec{Name: "x", Size: sluice.UnknownSize}, "")
	require.ErrorIs(t, err, errDisk)
	require.Nil(t, f)
	b.syncFile = (*os.File).Sync
	require.NoError(t, finish(), "a resume that failed has taken nothing over")
}

func TestAPartWhoseDataCannotBeSyncedIsNotStored(t *testing.T) {
	b, _, _, _ := readyToFinish(t)
	spec := sluice.FileSpec{Name: "x", Size: sluice.UnknownSize}
	f, err := b.ResumeLargeFile(context.Background(), spec, "")
	require.NoError(t, err)
	b.syncFile = func(f *os.File) error {
		if strings.HasSuffix(f.Name(), recordSuffix) {
			return nil
		}
		return errDisk
	}
	p := sluice.NewPart(2, []byte("more"), nil)
	p.Offset = 4
	_, err = f.UploadPart(context.Background(), p)
	require.ErrorIs(t, err, errDisk)
	b.syncFile = (*os.File).Sync
	f, err = b.ResumeLargeFile(context.Background(), spec, "")
	require.NoError(t, err)
	require.Len(t, f.Info().Stored, 1)
}

// The system tells one sync of an open file that data was lost, and no other: all
// parts that were being written may be the ones.
func TestUploadPart_IsNotStoredWhereAnotherPartsSyncFailed(t *testing.T) {
	for _, order := range [][]int{{1, 2}, {2, 1}} {
		dir := t.TempDir()
		b, err := New(dir, nil)
		require.NoError(t, err)
		t.Cleanup(func() { b.Close() })
		spec := sluice.FileSpec{Name: "x", Size: sluice.UnknownSize}
		f, err := b.StartLargeFile(t.Context(), spec)
		require.NoError(t, err)
		syncs := 0
		b.syncFile = func(f *os.File) error {
			if strings.HasSuffix(f.Name(), recordSuffix) {
				return nil
			}
			if syncs++; syncs == 1 {
				return errDisk
			}
			return nil
		}
		upload := func(ctx context.Context, number int) error {
			p := sluice.NewPart(number, []byte("data"), nil)
			p.Offset = int64(number-1) * 4
			_, err := f.UploadPart(ctx, p)
			return err
		}
		// The second part is written and synced while the first is being written.
		var inner error
		ctx := &midway{Context: t.Context(), looks: 2, call: func() { inner = upload(t.Context(), order[1]) }}
		require.ErrorIs(t, upload(ctx, order[0]), errDisk)
		require.ErrorIs(t, inner, errDisk)
		require.Equal(t, 1, syncs)
		parts, err := b.Parts(t.Context(), sluice.UnfinishedFile{ID: f.Info().ID, Spec: spec})
		require.NoError(t, err)
		require.Empty(t, parts)
		require.NoError(t, upload(t.Context(), 1), "the next one opens the file again")
		parts, err = b.Parts(t.Context(), sluice.UnfinishedFile{ID: f.Info().ID, Spec: spec})
		require.NoError(t, err)
		require.Len(t, parts, 1)
	}
}

// midway is a context that makes a call when it is looked at for the given time.
type midway struct {
	context.Context
	looks int
	call  func()
}

func (m *midway) Err() error {
	if m.looks--; m.looks == 0 {
		m.call()
	}
	return nil
}

func TestASecondNameForTheDataIsAFinishedFile(t *testing.T) {
	// A crash between the two steps of NoOverwrite leaves this.
	b, dir, _, _ := readyToFinish(t)
	spec := sluice.FileSpec{Name: "x", Size: sluice.UnknownSize}
	var id string
	for u, err := range b.Unfinished(context.Background(), "") {
		require.NoError(t, err)
		id = u.ID
	}
	require.NoError(t, os.Link(filepath.Join(dir, dataName("", id)), filepath.Join(dir, "x")))
	for range b.Unfinished(context.Background(), "") {
		require.Fail(t, "it is listed as unfinished")
	}
	_, err := b.ResumeLargeFile(context.Background(), spec, id)
	require.ErrorIs(t, err, os.ErrNotExist)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what was left is removed")
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	b, err := New(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	spec := sluice.FileSpec{Name: "x", Size: 1}
	for _, spoil := range []func(){
		func() { b.syncFolders = func(string) error { return errDisk } },
		func() { b.syncFile = func(*os.File) error { return errDisk } },
	} {
		spoil()
		_, err = b.StartLargeFile(context.Background(), spec)
		require.ErrorIs(t, err, errDisk)
		_, err = b.UploadFile(context.Background(), spec, sluice.NewPart(0, []byte("x"), nil))
		require.ErrorIs(t, err, errDisk)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries, "nor is a record, alone")
	}
}

// What a power cut leaves is what was synced before it: a single upload, too,
// must be known by its record before its first byte is written.
func TestAStartOutlivesAPowerCut(t *testing.T) {
	b, err := New(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	var synced []string
	b.syncFile = func(f *os.File) error {
		name := "data"
		if strings.HasSuffix(f.Name(), recordSuffix) {
			name = "record"
		}
		synced = append(synced, name)
		return nil
	}
	b.syncFolders = func(dir string) error { synced = append(synced, "folder "+dir); return nil }
	_, err = b.StartLargeFile(context.Background(), sluice.FileSpec{Name: "a/large", Size: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"record", "folder a"}, synced)

	synced = nil
	p := sluice.NewPart(0, []byte("x"), nil)
	_, err = b.UploadFile(context.Background(), sluice.FileSpec{Name: "a/single", Size: 1}, p)
	require.NoError(t, err)
	require.Equal(t, []string{"record", "folder a", "data", "folder a"}, synced)
}

func TestIDsRiseThoughTheClockStandsStill(t *testing.T) {
	b, err := New(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	latest := newID(b.now().Add(time.Hour))
	b.last = b.last.Add(time.Hour)
	for range 3 {
		id := newID(b.now())
		require.Greater(t, id[:25], latest[:25], "the time in it")
		latest = id
	}
}
