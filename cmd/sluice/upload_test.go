package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
)

// small makes many parts of few bytes.
var small = []string{"--json", "--memory", "8MiB", "--part-size", "1MiB"}

func args(more ...string) []string { return append(append([]string{}, small...), more...) }

func TestStandardInputIsStoredWhole(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 20, 1<<20 + 1, 20_000_003} {
		tr := newTrial(t)
		data := noise(n)
		tr.stdin(data)
		require.Equal(t, exitDone, tr.run(args("mem://dir/x")...), tr.stderr())
		require.Equal(t, sha256.Sum256(data), sha256.Sum256(tr.stored("dir/x")))
		sum := sha256.Sum256(data)
		o := tr.object()
		require.Equal(t, hex.EncodeToString(sum[:]), o["sha256"])
		require.EqualValues(t, n, o["size"])
		require.EqualValues(t, n, o["source_bytes"])
		require.Equal(t, "dir/x", o["name"])
	}
}

func TestARegularFile_IsStoredFromWhereItStands(t *testing.T) {
	tr := newTrial(t)
	path := filepath.Join(t.TempDir(), "in")
	data := noise(5_000_000)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Seek(1_000_000, io.SeekStart)
	require.NoError(t, err)
	tr.sys.stdin = f

	require.Equal(t, exitDone, tr.run(args("mem://x")...), tr.stderr())
	require.Equal(t, data[1_000_000:], tr.stored("x"))
	require.NotContains(t, tr.stderr(), "declared", "it may grow")
	require.Equal(t, exitDone, tr.again().run(args("mem://y")...), "its end is no failure")
	require.Empty(t, tr.stored("y"))
}

func TestARegularFileDeclaresNothingWhenCompressed(t *testing.T) {
	tr := newTrial(t)
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, make([]byte, 5_000_000), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	tr.sys.stdin = f
	require.Equal(t, exitDone, tr.run(args("-z", "mem://x")...), tr.stderr())
	require.EqualValues(t, 5_000_000, tr.object()["source_bytes"])
	require.Less(t, tr.object()["size"], 100_000.0)
}

func TestAStreamOfAnotherThanItsDeclaredSizeIsNotFinished(t *testing.T) {
	for _, n := range []int{3_999_999, 4_000_001} {
		tr := newTrial(t)
		tr.stdin(noise(n))
		require.Equal(t, exitFailed, tr.run(args("--size", "4MB", "mem://x")...))
		require.Contains(t, tr.stderr(), "declared size")
		tr.requireNothing()
	}
}

func TestDigestsAreOfTheBytesUploaded(t *testing.T) {
	tr := newTrial(t)
	tr.onHeap = false // nothing is read back
	data := noise(3_000_000)
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run(args("--sha256", "--sha1", "mem://x")...), tr.stderr())
	sum256, sum1 := sha256.Sum256(data), sha1.Sum(data)
	require.Equal(t, hex.EncodeToString(sum256[:]), tr.object()["sha256"])
	require.Equal(t, hex.EncodeToString(sum1[:]), tr.object()["sha1"])
}

func TestAStoreThatIsNotReadBackHasNoSHA256Unasked(t *testing.T) {
	tr := newTrial(t)
	tr.onHeap = false
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("mem://x")...), tr.stderr())
	require.NotContains(t, tr.object(), "sha256")
}

func TestContentTypeAndInfoReachTheStore(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("--content-type", "application/x-tar", "--info", "host=a", "--info", "k=b=c", "mem://x"))
	f, ok := tr.store.File("x")
	require.True(t, ok)
	require.Equal(t, "application/x-tar", f.ContentType)
	require.Equal(t, map[string]string{"host": "a", "k": "b=c"}, f.Metadata)
}

func TestAFailedUploadExitsWith1AndCancels(t *testing.T) {
	for name, fault := range map[string]*faults.Injector{
		"start":  faults.Fail(nil, faults.OnKind(faults.StartLargeFile)),
		"part":   faults.Fail(nil, faults.OnPart(2)),
		"finish": faults.Fail(nil, faults.OnKind(faults.Finish)),
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(t, fault)
			tr.stdin(noise(5_000_000))
			require.Equal(t, exitFailed, tr.run(args("mem://x")...))
			require.Contains(t, tr.stderr(), "injected failure")
			tr.requireNothing()
		})
	}
}

func TestAFailedUploadDoesNotWaitForStandardInput(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(1)))
	_, w := tr.openStdin() // stays open, and says no more
	go func() { _, _ = w.Write(noise(2_000_000)) }()
	require.Equal(t, exitFailed, tr.run(args("mem://x")...))
	tr.requireNothing()
}

func TestAnUnknownOutcomeExitsWith4AndNamesTheLargeFile(t *testing.T) {
	tr := newTrial(t, faults.Lose(sluice.ErrFinishUnknown, faults.OnKind(faults.Finish)))
	tr.stdin(noise(5_000_000))
	require.Equal(t, exitUnknown, tr.run(args("mem://x")...))
	require.Equal(t, "mem-1", tr.object()["large_file"])
	require.Contains(t, tr.stderr(), "mem-1")
}

func TestKeepOnErrorKeepsTheLargeFileAndNamesIt(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(2)))
	tr.stdin(noise(5_000_000))
	require.Equal(t, exitFailed, tr.run(args("--keep-on-error", "mem://x")...))
	require.Len(t, tr.store.Leftovers(""), 1)
	require.Equal(t, "mem-1", tr.object()["large_file"])
	require.Contains(t, tr.stderr(), "mem-1 is kept")
}

func TestTimeoutGivesUp(t *testing.T) {
	tr := newTrial(t)
	tr.openStdin()
	require.Equal(t, exitFailed, tr.run(args("--timeout", "20ms", "mem://x")...))
	require.Contains(t, tr.stderr(), "--timeout 20ms has passed")
	tr.requireNothing()
}

func TestTheCollectorIsHeldToTheMemoryGiven(t *testing.T) {
	tr := newTrial(t)
	tr.onHeap = false
	require.Equal(t, exitDone, tr.run("--memory", "64MiB", "mem://x"))
	require.Equal(t, []int64{88 << 20}, tr.limits)
}

func TestBufferedPagesAreInAFileAndNotInMemory(t *testing.T) {
	tr := newTrial(t)
	tr.onHeap = false
	dir := t.TempDir()
	data := noise(20_000_000)
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run("--buffer-dir", dir, "--memory", "1GiB", "--part-size", "2MiB", "--concurrency", "4", "mem://x"))
	require.Equal(t, data, tr.stored("x"))
	require.Equal(t, []int64{26 << 20}, tr.limits)
	require.Contains(t, tr.stderr(), "1 GiB of buffer in "+dir)
}

func TestTheCollectorIsLeftAloneWhereTheStoreIsOnTheHeap(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("--memory", "64MiB", "mem://x"))
	require.Empty(t, tr.limits)
}

func TestAStoreThatHoldsOtherBytesIsFoundOut(t *testing.T) {
	tr := newTrial(t)
	tr.stdin([]byte("bytes"))
	open := tr.sys.schemes[0].open
	tr.sys.schemes[0].open = corrupting(open)
	require.Equal(t, exitFailed, tr.run("--sha256", "mem://x"))
	require.Contains(t, tr.stderr(), "the store holds 5 bytes with SHA-256")
}

func TestTheReachIsSaidFirst(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("mem://x"))
	require.Regexp(t, `^\S+ \S+ sluice: mem://x takes up to 1\.2 TB with 256 MiB of memory`, tr.stderr())
}

func TestQuietSaysNothing(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitDone, tr.run("-q", "mem://x"))
	require.Empty(t, tr.stderr())
	require.Empty(t, tr.stdout.String())
}

func TestVerboseTellsOfEveryPartAndRetry(t *testing.T) {
	tr := newTrial(t, faults.Retry(nil, faults.OnPart(2)))
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("-v", "mem://x")...))
	for _, line := range []string{"large file mem-1 is started", "part 1 is stored, 1 MiB", "part 2 is stored", "part 3 is stored"} {
		require.Contains(t, tr.stderr(), line)
	}
	require.Contains(t, tr.stderr(), "part 2, attempt 1: faults: injected failure; again in 0s")
	require.EqualValues(t, 1, tr.object()["retries"])
}

func TestVerboseDoesNotSpeakOfPartsWhereThereAreNone(t *testing.T) {
	tr := newTrial(t)
	tr.stdin([]byte("bytes"))
	require.Equal(t, exitDone, tr.run("-v", "mem://x"))
	require.Contains(t, tr.stderr(), "sluice: all of it is stored, 5 bytes")
}

// corrupting makes a store give back other bytes than it got.
func corrupting(open opener) opener {
	return func(ctx context.Context, rest string, o opening) (*destination, error) {
		d, err := open(ctx, rest, o)
		d.readBack = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("bites")), nil }
		return d, err
	}
}
