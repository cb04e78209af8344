//go:build unix

package filebackend_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// dangling is a link to nothing.
func dangling(t *testing.T, name string) { require.NoError(t, os.Symlink("nothing", name)) }

func TestOnlyARegularFile_IsReplaced(t *testing.T) {
	for what, plant := range testutil.Irregular {
		dir := t.TempDir()
		victim := filepath.Join(dir, "victim")
		require.NoError(t, os.WriteFile(victim, []byte("untouched"), 0o600))
		b := open(t, dir, nil)
		name := filepath.Join(dir, "x")
		late := start(t, b, "x")
		receipt := send(t, late, part(1, 0, "data"))
		require.NoError(t, plant(name, victim))
		before, err := os.Lstat(name)
		require.NoError(t, err)

		_, err = b.StartLargeFile(context.Background(), spec("x"))
		require.ErrorContains(t, err, "there is "+what+" of that name")
		require.ErrorContains(t, putSingle(b, "x", "data"), "there is "+what+" of that name")
		_, err = late.Finish(context.Background(), []sluice.Receipt{receipt}, nil)
		require.ErrorContains(t, err, "there is "+what+" of that name", "it came while the file was uploaded")
		require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
		require.NoError(t, late.Cancel(context.Background()))

		after, err := os.Lstat(name)
		require.NoError(t, err)
		require.True(t, os.SameFile(before, after), what)
		require.Equal(t, before.Mode(), after.Mode(), what)
		content, err := os.ReadFile(victim)
		require.NoError(t, err)
		require.Equal(t, "untouched", string(content))
	}
}

func TestALinkThatLeadsNowhere_IsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	dangling(t, filepath.Join(dir, "x"))
	require.ErrorContains(t, put(b, "x", "a", "b"), "there is a symbolic link of that name")
	require.NoFileExists(t, filepath.Join(dir, "nothing"))
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	for name, c := range map[string]struct {
		mode     fs.FileMode // of Options
		replaced fs.FileMode // 0: the file is new
		want     fs.FileMode
	}{
		"a new file":                 {0, 0, 0o600},
		"a new file, told":           {0o644, 0, 0o644},
		"a replaced file":            {0, 0o640, 0o640},
		"a replaced file, stricter":  {0, 0o400, 0o400},
		"a replaced file, told":      {0o600, 0o666, 0o600},
		"a replaced file for others": {0, 0o666, 0o666},
		"a replaced program":         {0, 0o755 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, 0o755},
	} {
		for _, upload := range []func(*filebackend.Backend) error{
			func(b *filebackend.Backend) error { return put(b, "x", "a", "b") },
			func(b *filebackend.Backend) error { return putSingle(b, "x", "ab") },
		} {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			if c.replaced != 0 {
				require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
				require.NoError(t, os.Chmod(path, c.replaced))
			}
			b := open(t, dir, &filebackend.Options{Mode: c.mode})
			f := start(t, b, "other")
			for _, hidden := range files(t, dir) {
				info, err := os.Lstat(filepath.Join(dir, hidden))
				require.NoError(t, err)
				if hidden != "x" {
					require.Equal(t, fs.FileMode(0o600), info.Mode(), "%s: %s, before it is finished", name, hidden)
				}
			}
			require.NoError(t, f.Cancel(context.Background()))
			require.NoError(t, upload(b))
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.Equal(t, c.want, info.Mode(), name)
		}
	}
	_, err := filebackend.New(t.TempDir(), &filebackend.Options{Mode: 0o644 | fs.ModeSetuid})
	require.ErrorContains(t, err, "Options.Mode urw-r--r-- has more than permissions")
}

// Else another user could have a file made that anybody may read and write.
func TestAFileThatReplacesAnotherUsers_IsItsOwnersAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can make a file another user's; see TestForeign_TellsWhoseAFileIs")
	}
	for _, upload := range []func(*filebackend.Backend) error{
		func(b *filebackend.Backend) error { return put(b, "x", "a", "b") },
		func(b *filebackend.Backend) error { return putSingle(b, "x", "ab") },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x")
		require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
		require.NoError(t, os.Chmod(path, 0o666))
		require.NoError(t, os.Chown(path, 65534, 65534))
		require.NoError(t, upload(open(t, dir, nil)))
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

// planted is an unfinished file of which the record, or the data, is replaced.
type planted struct {
	dir, victim  string
	record, data string
	id           string
	b            *filebackend.Backend
	log          *bytes.Buffer
}

func plant(t *testing.T) planted {
	p := planted{dir: t.TempDir(), log: new(bytes.Buffer)}
	p.b = open(t, p.dir, &filebackend.Options{Logger: slog.New(slog.NewTextHandler(p.log, nil))})
	f := start(t, p.b, "x")
	send(t, f, part(1, 0, "data"))
	p.id = f.Info().ID
	p.data = filepath.Join(p.dir, ".sluice-"+p.id)
	p.record = p.data + ".record"
	p.victim = filepath.Join(p.dir, "victim")
	require.NoError(t, os.WriteFile(p.victim, []byte("untouched"), 0o600))
	return p
}

// requireIgnored sees that nothing goes on with what was planted, that others
// are found, and that there is a word.
func (p planted) requireIgnored(t *testing.T, why string) {
	t.Helper()
	good := start(t, p.b, "good")
	var listed []string
	for u, err := range p.b.Unfinished(context.Background(), "") {
		require.NoError(t, err, why)
		listed = append(listed, u.ID)
	}
	require.Equal(t, []string{good.Info().ID}, listed, why)
	require.Contains(t, p.log.String(), why)
	require.Contains(t, p.log.String(), filepath.Base(p.record))
	_, err := p.b.ResumeLargeFile(context.Background(), spec("x"), "")
	require.ErrorIs(t, err, fs.ErrNotExist, why)
	_, err = p.b.ResumeLargeFile(context.Background(), spec("x"), p.id)
	require.ErrorContains(t, err, why)
	_, err = p.b.Parts(context.Background(), sluice.UnfinishedFile{ID: p.id, Spec: spec("x")})
	require.ErrorContains(t, err, why)
	content, err := os.ReadFile(p.victim)
	require.NoError(t, err)
	require.Equal(t, "untouched", string(content))
	require.NoError(t, put(p.b, "x", "a", "b"), "a stream starts anew")
	info, err := os.Lstat(filepath.Join(p.dir, "x"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestPlantedRecordsAndData_AreIgnored(t *testing.T) {
	for what, planting := range testutil.Irregular {
		for _, of := range []string{"record", "data"} {
			t.Run(what+" for "+of, func(t *testing.T) {
				p := plant(t)
				name := map[string]string{"record": p.record, "data": p.data}[of]
				require.NoError(t, os.Rename(name, p.victim+"-"))
				require.NoError(t, planting(name, p.victim))
				p.requireIgnored(t, "it is "+what+", not a regular file")
			})
		}
	}
	for mode, shown := range map[fs.FileMode]string{0o666: "-rw-rw-rw-", 0o620: "-rw--w----", 0o602: "-rw-----w-"} {
		for _, of := range []string{"record", "data"} {
			t.Run(shown+" "+of, func(t *testing.T) {
				p := plant(t)
				require.NoError(t, os.Chmod(map[string]string{"record": p.record, "data": p.data}[of], mode))
				p.requireIgnored(t, "others may write to it ("+shown+")")
			})
		}
	}
}

// A link to a file of this user's own would have that overwritten.
func TestRecordsAndDataWithAnotherName_AreIgnored(t *testing.T) {
	for _, of := range []string{"record", "data"} {
		p := plant(t)
		name := map[string]string{"record": p.record, "data": p.data}[of]
		require.NoError(t, os.Remove(name))
		require.NoError(t, os.Link(p.victim, name))
		p.requireIgnored(t, "it has 2 names")
	}
}

// Only root can plant what is another's.
func TestRecordsAndDataOfAnotherUser_AreIgnored(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can make a file another user's; see TestForeign_TellsWhoseAFileIs")
	}
	for _, of := range []string{"record", "data"} {
		p := plant(t)
		require.NoError(t, os.Chown(map[string]string{"record": p.record, "data": p.data}[of], 65534, 65534))
		p.requireIgnored(t, "it belongs to the user 65534, not to 0")
	}
}

// What takes the place of a file while it is being uploaded gets no byte of it.
func TestAPlantedFile_GetsNothingOfAnUploadUnderWay(t *testing.T) {
	for what, planting := range testutil.Irregular {
		for _, of := range []string{"record", "data"} {
			p := plant(t)
			f, err := p.b.ResumeLargeFile(context.Background(), spec("x"), "")
			require.NoError(t, err)
			name := map[string]string{"record": p.record, "data": p.data}[of]
			require.NoError(t, os.Rename(name, p.victim+"-"))
			require.NoError(t, planting(name, p.victim))
			_, err = f.UploadPart(context.Background(), part(2, 4, "more"))
			require.ErrorContains(t, err, "it is "+what+", not a regular file", of)
			_, err = f.Finish(context.Background(), f.Info().Stored, nil)
			require.ErrorContains(t, err, "it is "+what+", not a regular file", of)
			content, err := os.ReadFile(p.victim)
			require.NoError(t, err)
			require.Equal(t, "untouched", string(content))
			require.NoFileExists(t, filepath.Join(p.dir, "x"))
		}
	}
}

func TestAHugeRecord_IsNotReadWhole(t *testing.T) {
	p := plant(t)
	require.NoError(t, os.Truncate(p.record, 65<<20))
	var ids []string
	var last error
	good := start(t, p.b, "good")
	for u, err := range p.b.Unfinished(context.Background(), "") {
		if last = err; err == nil {
			ids = append(ids, u.ID)
		}
	}
	require.Equal(t, []string{good.Info().ID}, ids)
	require.ErrorContains(t, last, "the record has more than 67108864 bytes")
}
