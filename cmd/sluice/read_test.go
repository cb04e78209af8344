package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
)

// readableTrial is a trial whose store is read from too. It holds data under x, in parts of 1 MiB.
func readableTrial(t *testing.T, data []byte, injectors ...*faults.Injector) *trial {
	tr := newTrial(t, injectors...)
	tr.sys.schemes[0].commands = allCommands
	open := tr.sys.schemes[0].open
	tr.sys.schemes[0].open = func(ctx context.Context, rest string, o opening) (*destination, error) {
		d, err := open(ctx, rest, o)
		if err == nil {
			d.source, d.remove = tr.faulty, tr.faulty.Remove
		}
		return d, err
	}
	tr.stores(data, "mem://x")
	return tr
}

// A run that fails leaves what it has for the next one.
func TestGet_ResumesAFileThatWasInterrupted(t *testing.T) {
	data := noise(20 << 20) // more than memory holds, so more than one range
	var mended atomic.Bool
	fault := faults.Do(func(context.Context, faults.Op) error {
		if mended.Load() {
			return nil
		}
		return faults.ErrInjected
	}, faults.OnKind(faults.ReadRange), faults.From(2))
	tr := readableTrial(t, data, fault)
	path := filepath.Join(t.TempDir(), "out")
	args := []string{"get", "--json", "--concurrency", "1", "--memory", "16MiB", "-o", path, "mem://x"}
	require.Equal(t, exitFailed, tr.run(args...))
	require.EqualValues(t, exitFailed, tr.object()["exit"], tr.stderr())
	require.NoFileExists(t, path)
	require.FileExists(t, filepath.Join(filepath.Dir(path), ".sluice-partial-out"))

	mended.Store(true)
	require.Equal(t, exitDone, tr.again().run(args...), tr.stderr())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.Equal(t, hexSHA256(data), tr.object()["sha256"])
	require.Contains(t, tr.object()["checked"], "its length")
	requireOnly(t, path)
}

// requireOnly checks that a folder has the file, private, and nothing else.
func requireOnly(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if os.PathSeparator == '/' {
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

func TestGet_RejectsAWrongDigestBeforeTheFileAppears(t *testing.T) {
	tr := readableTrial(t, noise(3<<20))
	path := filepath.Join(t.TempDir(), "out")
	for _, digest := range []string{"--sha256=" + hexSHA256(nil), "--sha1=" + hexSHA1(nil)} {
		require.Equal(t, exitFailed, tr.again().run("get", digest, "-o", path, "mem://x"))
		require.Contains(t, tr.stderr(), "file is damaged")
		require.NoFileExists(t, path)
	}
}

func TestGet_Decompresses(t *testing.T) {
	text := bytes.Repeat([]byte("line of text\n"), 100_000)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	tr := readableTrial(t, text)
	tr.stores(text, "-z", "mem://zstd")
	tr.stores(zipped.Bytes(), "mem://gzip")
	tr.stores(zipped.Bytes()[:zipped.Len()-9], "mem://cut")
	for dest, c := range map[string]struct {
		flag string
		exit int
		says string
	}{
		"mem://zstd": {"--decompress", exitDone, "checked by its length"},
		"mem://gzip": {"--decompress", exitDone, "checked by its length"},
		"mem://x":    {"--decompress=auto", exitDone, "checked by its length"},
		"mem://x ":   {"--decompress", exitFailed, "neither zstd nor gzip"},
		"mem://cut":  {"--decompress=auto", exitFailed, "unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), "out")
		for _, output := range [][]string{nil, {"-o", path}} {
			args := slices.Concat([]string{"get", c.flag}, output, []string{strings.TrimSpace(dest)})
			require.Equal(t, c.exit, tr.again().run(args...), "%s: %s", dest, tr.stderr())
			require.Contains(t, tr.stderr(), c.says, dest)
			if c.exit == exitDone && output == nil {
				require.True(t, bytes.Equal(text, tr.stdout.Bytes()), dest)
			}
		}
		if c.exit != exitDone {
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Empty(t, entries, "nothing is left of it")
			continue
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, got), dest)
		requireOnly(t, path)
	}
}

func TestGet_ReadsAPartOfAFile(t *testing.T) {
	data := noise(20 << 20)
	tr := readableTrial(t, data)
	for flags, want := range map[string][]byte{
		"--offset 0 --length 10":      data[:10],
		"--offset 1000 --length 5MiB": data[1000 : 1000+5<<20],
		"--offset 9MiB":               data[9<<20:],
		"--offset 20971520":           {},
		"--length 1TB":                data,
	} {
		args := append([]string{"get", "--json"}, strings.Fields(flags+" mem://x")...)
		require.Equal(t, exitDone, tr.again().run(args...), tr.stderr())
		require.True(t, bytes.Equal(want, tr.stdout.Bytes()), flags)
	}
	require.Equal(t, exitFailed, tr.again().run("get", "--offset", "20971521", "mem://x"))
	require.Contains(t, tr.stderr(), "--offset 20971521 is beyond the 20971520 bytes of the file")
	for _, flag := range []string{"--sha256=" + hexSHA256(nil), "--sha1=" + hexSHA1(nil), "--decompress"} {
		require.Equal(t, exitUsage, tr.again().run("get", "--length", "5", flag, "mem://x"))
	}
}

func TestGet_RefusesToWriteBinaryToATerminal(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "plain\ttext\r\n": true, "grüße ✓": true, "cut in a character \xe2\x9c": true,
		"\x00": false, "\x1b[2J": false, "\xff\xfe": false, string(noise(100)): false, "\u202egnp.exe": false, "\u009b31m": false,
	} {
		var screen bytes.Buffer
		_, err := (&textOnly{w: &screen}).Write([]byte(text))
		if want {
			require.NoError(t, err, "%q", text)
			require.Equal(t, text, screen.String())
		} else {
			require.ErrorIs(t, err, errBinary, "%q", text)
			require.Empty(t, screen.String())
		}
	}
}

// A server decides where the writes to a terminal begin and end.
func TestGet_StopsAtBinaryInAnyWriteToATerminal(t *testing.T) {
	for _, c := range []struct {
		writes []string
		shown  string
		ok     bool
	}{
		{[]string{"a", "\x1b[2J"}, "a", false},
		{[]string{"a", "b\n", "c\x00"}, "ab\n", false},
		{[]string{"a\xc2", "\x9b31m"}, "a\xc2", false},
		{[]string{"\xe2", "\x80", "\xaegnp.exe"}, "\xe2\x80", false},
		{[]string{"\xe2\x9c", "a"}, "\xe2\x9c", false},
		{[]string{"gr\xc3", "\xbc\xc3", "", "\x9fe \xe2", "\x9c", "\x93", "\n"}, "grüße ✓\n", true},
	} {
		var screen bytes.Buffer
		w := &textOnly{w: &screen}
		var err error
		for _, text := range c.writes {
			if _, err = w.Write([]byte(text)); err != nil {
				break
			}
		}
		require.Equal(t, c.shown, screen.String())
		if c.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, errBinary, "%q", c.writes)
		}
	}
}

func TestVerify_ReadsEverythingAndWritesNothing(t *testing.T) {
	data := noise(5 << 20)
	tr := readableTrial(t, data)
	require.Equal(t, exitDone, tr.run("verify", "mem://x"), tr.stderr())
	require.Contains(t, tr.stderr(), "mem://x is read, 5.2 MB")
	require.Contains(t, tr.stderr(), "sha256 "+hexSHA256(data))
	require.Empty(t, tr.stdout.String())
	require.Equal(t, exitDone, tr.again().run("verify", "--json", "--sha256", hexSHA256(data), "mem://x"), tr.stderr())
	require.Contains(t, tr.object()["checked"], "the digest given")
	require.Equal(t, exitFailed, tr.again().run("verify", "--sha256", hexSHA256(nil), "mem://x"))
	require.Contains(t, tr.stderr(), "file is damaged")
	require.Equal(t, exitFailed, tr.again().run("verify", "mem://nothing"))
	require.Contains(t, tr.stderr(), "file does not exist")
}

func TestLs_ListsFilesAndFolders(t *testing.T) {
	tr := readableTrial(t, []byte("12345"))
	for _, name := range []string{"db/1", "db/2", "db/old/3", "x.log", "y"} {
		tr.stores([]byte("1"), "mem://"+name)
	}
	for args, want := range map[string]string{
		"mem://":        "mem://db/ mem://x mem://x.log mem://y",
		"mem://x":       "mem://x mem://x.log",
		"mem://db":      "mem://db/",
		"mem://db/":     "mem://db/1 mem://db/2 mem://db/old/",
		"-r mem://db":   "mem://db/1 mem://db/2 mem://db/old/3",
		"-r mem://":     "mem://db/1 mem://db/2 mem://db/old/3 mem://x mem://x.log mem://y",
		"mem://nothing": "",
	} {
		require.Equal(t, exitDone, tr.again().run(append([]string{"ls"}, strings.Fields(args)...)...), tr.stderr())
		require.Equal(t, want, strings.Join(strings.Fields(tr.stdout.String()), " "), args)
		require.Empty(t, tr.stderr())
	}
	require.Equal(t, exitDone, tr.again().run("ls", "--long", "mem://"))
	require.Regexp(t, `(?m)^ +- +- +mem://db/$`, tr.stdout.String())
	require.Regexp(t, `(?m)^ +5  20\d\d-\S+ +mem://x$`, tr.stdout.String())

	require.Equal(t, exitDone, tr.again().run("ls", "--json", "mem://"))
	lines := strings.Split(strings.TrimSpace(tr.stdout.String()), "\n")
	require.JSONEq(t, `{"destination":"mem://db/","folder":"db/"}`, lines[0])
	var o described
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &o))
	require.Equal(t, "mem://x", o.Destination)
	require.EqualValues(t, 5, o.Size)
	require.False(t, o.Modified.IsZero())
}

func TestStat_ShowsWhatTheStoreKnows(t *testing.T) {
	data := noise(3_000_000)
	tr := readableTrial(t, nil)
	tr.stores(data, "--content-type", "application/x-tar", "--info", "host=a", "mem://y")
	require.Equal(t, exitDone, tr.run("stat", "mem://y"), tr.stderr())
	for _, line := range []string{
		`destination +mem://y`, `size +3000000 \(3 MB\)`, `modified +20\d\d-`, `id +mem-`, `content type +application/x-tar`,
		`metadata +host=a`, `part +1  1048576 `,
	} {
		require.Regexp(t, "(?m)^"+line, tr.stdout.String())
	}
	require.Equal(t, exitDone, tr.again().run("stat", "--json", "mem://y"))
	var o described
	require.NoError(t, json.Unmarshal(tr.stdout.Bytes(), &o))
	require.Equal(t, map[string]string{"host": "a"}, o.Metadata)
	require.Len(t, o.Parts, 3)
	require.Equal(t, exitFailed, tr.again().run("stat", "mem://nothing"))
	require.Contains(t, tr.stderr(), "file does not exist")
}

func TestRm_RemovesOneFileAndAsksFirst(t *testing.T) {
	tr := readableTrial(t, []byte("12345"))
	require.Equal(t, exitUsage, tr.run("rm", "mem://x"))
	require.Contains(t, tr.stderr(), "--yes removes without asking")
	require.Equal(t, []string{"x"}, tr.store.Names())
	tr.stores([]byte("1"), "mem://xy")
	require.Equal(t, exitDone, tr.run("rm", "--yes", "mem://x"), tr.stderr())
	require.Contains(t, tr.stderr(), "mem://x is removed, 5 bytes")
	require.Equal(t, []string{"xy"}, tr.store.Names(), "names that begin alike stay")
	require.Equal(t, exitFailed, tr.again().run("rm", "--yes", "mem://x"))
	require.Contains(t, tr.stderr(), "file does not exist")
	require.Equal(t, exitUsage, tr.again().run("rm", "--yes", "mem://"), "no name is no file")
}

// The same commands over a folder, whose names are paths.
func TestReadingCommands_WorkOnAFolder(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	dest := "file://" + dir + "/"
	tr := realTrial(t)
	data := noise(3_000_000)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	tr.stores(data, dest+"a.bin")
	tr.stores(data, dest+"sub/b.bin")
	for _, c := range []struct{ args, out, log string }{
		{"ls " + dest, dest + "a.bin\n" + dest + "sub/\n", ""},
		{"ls -r " + dest, dest + "a.bin\n" + dest + "sub/b.bin\n", ""},
		{"ls " + dest + "sub/", dest + "sub/b.bin\n", ""},
		{"verify " + dest + "a.bin", "", "is read, 3 MB"},
		{"get -o " + dir + "/copy " + dest + "sub/b.bin", "", "is read, 3 MB"},
		{"rm -y " + dest + "a.bin", "", "is removed, 3 MB"},
		{"ls -r " + dest, dest + "copy\n" + dest + "sub/b.bin\n", ""},
	} {
		require.Equal(t, exitDone, tr.again().run(strings.Fields(c.args)...), "%s: %s", c.args, tr.stderr())
		require.Equal(t, c.out, tr.stdout.String(), c.args)
		require.Contains(t, tr.stderr(), c.log)
	}
	require.Equal(t, exitDone, tr.again().run("stat", dest+"copy"))
	require.Contains(t, tr.stdout.String(), fmt.Sprint(len(data)))
}

func TestRm_SaysUntilWhenObjectLockKeepsAFile(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	_, err := s.AddBucket(b2test.Bucket{Name: "locked-bucket", FileLock: true})
	require.NoError(t, err)
	require.Equal(t, exitDone, tr.run("--retention", "compliance:2999-01-31T00:00:00Z", "--legal-hold", "on", "b2://locked-bucket/x"), tr.stderr())
	require.Equal(t, exitFailed, tr.again().run("rm", "--yes", "b2://locked-bucket/x"))
	require.Contains(t, tr.stderr(), "; Object Lock (compliance) keeps it until 2999-01-31T00:00:00Z; a legal hold keeps it")
	require.Len(t, s.Files("locked-bucket"), 1)
}

// The window that the header of a frame asks for is memory, however short the file is.
func TestGet_BoundsTheWindowOfZstd(t *testing.T) {
	frame := func(window byte) []byte { // of one raw block
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, window, 2<<3 | 1, 0, 0}, "ok"...)
	}
	const mib128 = 17 << 3 // 1 << (10 + 17), and no eighths more
	tr := readableTrial(t, frame(mib128))
	require.Equal(t, exitDone, tr.again().run("get", "--decompress", "mem://x"), tr.stderr())
	require.Equal(t, "ok", tr.stdout.String())
	for _, mode := range []string{"--decompress", "--decompress=auto"} {
		for _, window := range []byte{mib128 + 1, mib128 + 1<<3, 0xff} {
			tr := readableTrial(t, frame(window))
			require.Equal(t, exitFailed, tr.again().run("get", mode, "mem://x"))
			require.Contains(t, tr.stderr(), "needs more than 128 MiB; get it without --decompress")
			require.Empty(t, tr.stdout.String())
		}
	}
}
