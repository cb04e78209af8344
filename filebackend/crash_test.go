package filebackend_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
)

// asVariable makes the test binary another program, which works in the folder
// of its first argument.
const asVariable = "FILEBACKEND_TEST_AS"

// children are those programs. What they return is printed as the last line.
var children = map[string]func(*filebackend.Backend) error{
	"large": func(b *filebackend.Backend) error { return uploadSlowly(b, crashSize) },
	"single": func(b *filebackend.Backend) error {
		p := sluice.NewPart(0, []byte(noise(crashSize)), nil)
		_, err := b.UploadFile(&announcing{context.Background(), 0}, sluice.FileSpec{Name: "x", Size: p.Size}, p)
		return err
	},
}

func TestMain(m *testing.M) {
	child, ok := children[os.Getenv(asVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	b, err := filebackend.New(os.Args[1], nil)
	if err == nil {
		err = child(b)
	}
	fmt.Println("returned:", err)
}

// run starts a child in dir, whose standard input says nothing and does not end if it is to hang.
func run(t *testing.T, as, dir string, hang bool) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(binary, dir)
	c.Env = append(os.Environ(), asVariable+"="+as)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	if hang {
		_, err = c.StdinPipe()
		require.NoError(t, err)
	}
	require.NoError(t, c.Start())
	return c, bufio.NewReader(out)
}

// outcome is the last line of a child that ended by itself.
func outcome(t *testing.T, as, dir string) string {
	t.Helper()
	c, out := run(t, as, dir, false)
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, c.Wait())
	return string(text)
}

const crashSize = 4 << 20

// uploadSlowly uploads noise and what comes from standard input, and prints a
// line for every part stored.
func uploadSlowly(b *filebackend.Backend, size int) error {
	o := small()
	o.Hooks = &sluice.Hooks{PartDone: func(p sluice.PartEvent, _ error) { fmt.Println("part", p.Number) }}
	_, err := sluice.Upload(context.Background(), b, "x", o, copyTo(io.MultiReader(strings.NewReader(noise(size)), os.Stdin)))
	return err
}

// announcing is a context that stops the goroutine that looks at it for the
// fourth time, and says so.
type announcing struct {
	context.Context
	looks int
}

func (c *announcing) Err() error {
	if c.looks++; c.looks == 4 {
		fmt.Println("half way")
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
	return nil
}

// resume uploads what the children upload, and returns how many bytes the store had already.
func resume(t *testing.T, b sluice.Backend, data string) int64 {
	t.Helper()
	o := small()
	o.Resume, o.KeepOnFailure = true, true
	w, err := sluice.New(context.Background(), b, "x", o)
	require.NoError(t, err)
	_, err = io.Copy(w, strings.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return w.Stats().Reused
}

func TestALargeFileIsResumedAfterAKill(t *testing.T) {
	data := noise(crashSize)
	for _, lines := range []int{0, 1, 2, 9, 50, 150, 250} { // of 256
		t.Run(fmt.Sprintf("after %d parts", lines), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c, out := run(t, "large", dir, true)
			for range lines {
				line, err := out.ReadString('\n')
				require.NoError(t, err)
				require.Contains(t, line, "part")
			}
			require.NoError(t, c.Process.Kill())
			require.Error(t, c.Wait(), "it was killed before its end")
			require.NoFileExists(t, filepath.Join(dir, "x"))

			b := open(t, dir, nil)
			reused := resume(t, b, data)
			require.GreaterOrEqual(t, reused, int64(lines*16<<10), "what was acknowledged is there")
			requireContent(t, dir, "x", data)
			require.Equal(t, []string{"x"}, withoutLoneRecords(t, dir))
			require.Empty(t, unfinished(t, b, ""))
		})
	}
}

// withoutLoneRecords are the files in dir. A kill in the middle of a start
// leaves a record that means nothing.
func withoutLoneRecords(t *testing.T, dir string) []string {
	var names []string
	for _, name := range files(t, dir) {
		if _, err := os.Stat(filepath.Join(dir, strings.TrimSuffix(name, ".record"))); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func TestASingleUploadThatWasKilledIsListedAndCancelled(t *testing.T) {
	dir := t.TempDir()
	c, out := run(t, "single", dir, true)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "half way\n", line)
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
	require.NoFileExists(t, filepath.Join(dir, "x"))

	b := open(t, dir, nil)
	list := unfinished(t, b, "")
	require.Len(t, list, 1)
	f, err := b.ResumeLargeFile(context.Background(), list[0].Spec, list[0].ID)
	require.NoError(t, err)
	require.Empty(t, f.Info().Stored)
	require.NoError(t, f.Cancel(context.Background()))
	require.Empty(t, files(t, dir))
}

// halfWay makes a store with the parts 1, 2 and 4 of data, and returns the id.
func halfWay(t *testing.T, dir, data string) string {
	f := start(t, open(t, dir, &filebackend.Options{NoSync: true}), "x")
	for _, n := range []int{4, 1, 2} {
		at := int64(n-1) * 16 << 10
		send(t, f, part(n, at, data[at:at+16<<10]))
	}
	return f.Info().ID
}

func TestARecordCutShortAnywhereIsResumed(t *testing.T) {
	data := noise(100_000)
	model := t.TempDir()
	id := halfWay(t, model, data)
	record, err := os.ReadFile(filepath.Join(model, ".sluice-"+id+".record"))
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(model, ".sluice-"+id))
	require.NoError(t, err)
	head := strings.IndexByte(string(record), '\n') + 1

	var most int64
	for n := range len(record) + 1 {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".sluice-"+id), content, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".sluice-"+id+".record"), record[:n], 0o600))
		b := open(t, dir, &filebackend.Options{NoSync: true})
		if n < head {
			require.Empty(t, unfinished(t, b, ""), "a start that was cut short")
			continue
		}
		require.Len(t, unfinished(t, b, ""), 1)
		reused := resume(t, b, data)
		require.Equal(t, int64(strings.Count(string(record[head:n]), "\n"))*16<<10, reused, "a whole line is a part")
		requireContent(t, dir, "x", data)
		require.Equal(t, []string{"x"}, files(t, dir))
		most = max(most, reused)
	}
	require.EqualValues(t, 3*16<<10, most)
}

func TestPartsBeyondTheEndOfTheDataAreNotStored(t *testing.T) {
	dir := t.TempDir()
	data := noise(100_000)
	id := halfWay(t, dir, data)
	require.NoError(t, os.Truncate(filepath.Join(dir, ".sluice-"+id), 20<<10))
	require.EqualValues(t, 16<<10, resume(t, open(t, dir, nil), data))
	requireContent(t, dir, "x", data)
}

func TestADamagedRecordIsRefused(t *testing.T) {
	for says, damage := range map[string]func(string) string{
		"line 1 of the record is damaged": func(r string) string { return "x" + r },
		"line 3 of the record is damaged": func(r string) string { return strings.Replace(r, `"part":1`, `"part":x`, 1) },
		"line 4 of the record is damaged": func(r string) string { return strings.Replace(r, `"offset":16384`, `"offset":1`, 1) },
		"the record has version 2":        func(r string) string { return strings.Replace(r, `"sluice":1`, `"sluice":2`, 1) },
	} {
		dir := t.TempDir()
		id := halfWay(t, dir, noise(100_000))
		name := filepath.Join(dir, ".sluice-"+id+".record")
		record, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, []byte(damage(string(record))), 0o600))
		_, err = open(t, dir, nil).ResumeLargeFile(context.Background(), spec("x"), id)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, id)
		require.Len(t, files(t, dir), 2, "nothing is removed")
		o := small()
		o.Resume, o.RestartOnMismatch = true, true
		_, err = sluice.Upload(context.Background(), open(t, dir, nil), "x", o, copyTo(strings.NewReader(noise(100_000))))
		require.NoError(t, err, "a damaged record stops no scheduled job")
		requireContent(t, dir, "x", noise(100_000))
	}
}

func TestADamagedRecordHidesNoOther(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	var damaged []string
	for _, name := range []string{"a", "b", "c", "sub/d"} {
		f := start(t, b, name)
		if name == "a" || name == "c" {
			record := ".sluice-" + f.Info().ID + ".record"
			require.NoError(t, os.WriteFile(filepath.Join(dir, record), []byte("what is this\n"), 0o600))
			damaged = append(damaged, record)
		}
	}
	var names []string
	var failed error
	for u, err := range b.Unfinished(context.Background(), "") {
		require.NoError(t, failed, "an error ends the sequence")
		if failed = err; err == nil {
			names = append(names, u.Spec.Name)
		}
	}
	require.Equal(t, []string{"b", "sub/d"}, names)
	for _, record := range damaged {
		require.ErrorContains(t, failed, record+": line 1 of the record is damaged")
	}
	f, err := b.ResumeLargeFile(context.Background(), spec("b"), "")
	require.NoError(t, err)
	require.NoError(t, f.Cancel(context.Background()))
	_, err = b.ResumeLargeFile(context.Background(), spec("a"), "")
	require.ErrorIs(t, err, fs.ErrNotExist, "a stream starts anew")
	require.ErrorContains(t, err, damaged[0])
	require.Len(t, unfinished(t, b, "sub/"), 1, "a folder without a damaged one")
	require.Len(t, files(t, dir), 6, "nothing is removed")
}

func TestAPartLeavesTheRecordBeforeItIsWrittenOver(t *testing.T) {
	dir := t.TempDir()
	data := noise(16 << 10)
	b := open(t, dir, nil)
	f := start(t, b, "x")
	send(t, f, part(1, 0, data))
	// A crash in the middle of sending it again is a copy of the folder as it is then.
	copied := t.TempDir()
	ctx := &reentrant{Context: context.Background(), armed: true}
	ctx.call = func() {
		ctx.call = func() { require.NoError(t, os.CopyFS(copied, os.DirFS(dir))) }
	}
	_, err := f.UploadPart(ctx, part(1, 0, "other bytes"))
	require.NoError(t, err)
	require.Len(t, files(t, copied), 2)
	resumed, err := open(t, copied, nil).ResumeLargeFile(context.Background(), spec("x"), "")
	require.NoError(t, err)
	require.Empty(t, resumed.Info().Stored)
}
