package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/s3backend"
)

// interrupted is a store in which a killed run has left the first two parts of
// its data, which has between two and three.
type interrupted struct {
	*trial
	dest, id string
	data     []byte       // the stream
	part     int          // bytes
	flags    []string     // of every run
	size     func() int64 // of the finished file, -1 without one
	listed   func() []string
	access   string // the flags that commands suggested for it have
}

func interruptedB2(t *testing.T) interrupted {
	tr, s := newB2Trial(t, nil)
	id := tr.leave(s, "x")[0]
	return interrupted{tr, "b2://test-bucket/x", id, noise(2_400_000), 1 << 20, nil, func() int64 {
		for _, f := range s.Files(s.Bucket()) {
			return int64(len(b2Content(t, s, f.Name)))
		}
		return -1
	}, func() (ids []string) {
		for _, f := range s.Unfinished() {
			ids = append(ids, f.ID)
		}
		return ids
	}, ""}
}

// upload runs the program again with that on standard input.
func (s interrupted) upload(stream []byte, flags ...string) int {
	s.again().stdin(stream)
	return s.run(append(append(flags, s.flags...), "--json", "--part-size", fmt.Sprint(s.part), s.dest)...)
}

// interrupt leaves the first parts in b, and returns what lists it.
func interrupt(t *testing.T, b sluice.Backend, name string, data []byte, part int) (listed func() []string) {
	_, err := sluice.Upload(t.Context(), faults.New(b, faults.Fail(nil, faults.OnPart(3))), name,
		&sluice.Options{Resume: true, PartSize: int64(part), Concurrency: 1}, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	require.ErrorIs(t, err, faults.ErrInjected)
	return func() (ids []string) {
		for u, err := range b.Unfinished(t.Context(), name) {
			require.NoError(t, err)
			ids = append(ids, u.ID)
		}
		return ids
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

func interruptedFile(t *testing.T) interrupted {
	dir := t.TempDir()
	b, err := filebackend.New(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	tr := newTrial(t)
	tr.sys.schemes = destinations()
	path := filepath.Join(dir, "x")
	s := interrupted{trial: tr, dest: "file://" + path, data: noise(5 << 19), part: 1 << 20, size: func() int64 { return fileSize(path) }}
	s.listed = interrupt(t, b, "x", s.data, s.part)
	s.id = s.listed()[0]
	return s
}

// interruptedStores returns functions that make each an interrupted store.
func interruptedStores(t *testing.T) map[string]func(*testing.T) interrupted {
	server, names := s3Trial(t), 0
	return map[string]func(*testing.T) interrupted{"b2": interruptedB2, "file": interruptedFile, "s3": func(t *testing.T) interrupted {
		b, err := s3backend.New(t.Context(), "backups", &s3backend.Options{Endpoint: server.URL, PathStyle: true})
		require.NoError(t, err)
		names++
		name := fmt.Sprintf("x%03d", names)
		s := interrupted{
			trial: realTrial(t), dest: "s3://backups/" + name, data: noise(25 << 19), part: 5 << 20,
			flags:  []string{"--endpoint", server.URL, "--path-style", "--memory", "80MiB"},
			access: " --endpoint " + server.URL + " --path-style",
			size:   func() int64 { return fileSize(filepath.Join(server.Data, "backups", name)) },
		}
		s.listed = interrupt(t, b, name, s.data, s.part)
		s.id = s.listed()[0]
		return s
	}}
}

// mismatches are streams that are not the interrupted one.
var mismatches = map[string]struct {
	stream func(data []byte, part int) []byte
	runs   int // that it takes to store it with --restart-on-mismatch
	// large files after that: a file that is shorter, or of a later run,
	// replaces nothing
	left int
}{
	"nothing":       {func([]byte, int) []byte { return nil }, 1, 1},
	"half a part":   {func(d []byte, part int) []byte { return d[:part/2] }, 1, 1},
	"one part":      {func(d []byte, part int) []byte { return d[:part] }, 1, 1},
	"two parts":     {func(d []byte, part int) []byte { return d[:2*part-1] }, 2, 1},
	"another first": {func(d []byte, _ int) []byte { return another(d, 0) }, 1, 0},
	"another later": {func(d []byte, part int) []byte { return another(d, 2*part-1) }, 2, 1},
	"longer":        {func(d []byte, _ int) []byte { return noise(2 * len(d)) }, 1, 0},
	"shorter":       {func(_ []byte, part int) []byte { return noise(part + 1) }, 1, 1},
}

// another is data with another byte at the offset.
func another(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at]++
	return data
}

// What ssh that dies leaves of a disk image, and streams that are another one,
// must not take the place of what days of uploading have stored.
func TestResume_RejectsAStreamThatDoesNotMatchAndKeepsWhatIsStored(t *testing.T) {
	for store, interrupted := range interruptedStores(t) {
		for name, c := range mismatches {
			for _, byID := range []bool{false, true} {
				t.Run(fmt.Sprint(store, " ", name, " byID=", byID), func(t *testing.T) {
					s := interrupted(t)
					flags := []string{"--resume"}
					if byID {
						flags = []string{"--resume-id", s.id}
					}
					require.Equal(t, exitFailed, s.upload(c.stream(s.data, s.part), flags...), s.stderr())
					require.Contains(t, s.stderr(), "unfinished large file does not match the stream: large file "+s.id)
					require.Contains(t, s.stderr(), "sluice: to upload the whole stream, and keep this until that is done: sluice put"+s.access+" --resume --restart-on-mismatch "+s.dest+"; to remove it: sluice cancel"+s.access+" "+s.dest+" "+s.id+"\n")
					require.Equal(t, s.id, s.object()["large_file"])
					require.EqualValues(t, -1, s.size())
					require.Equal(t, []string{s.id}, s.listed())
					require.Equal(t, exitDone, s.upload(s.data, "--resume"), s.stderr())
					require.EqualValues(t, 2*s.part, s.object()["reused_bytes"], "the right stream resumes")
				})
			}
		}
	}
}

func TestResume_StopsTheCommandWhenItsOutputDoesNotMatch(t *testing.T) {
	s := interruptedB2(t)
	require.Equal(t, exitFailed, s.again().run("--resume", "--part-size", "1MiB", s.dest, "--", "sh", "-c", "while :; do printf '%65536s' x; done"), s.stderr())
	require.Contains(t, s.stderr(), "resume part 1 of")
}

// A scheduled job with --resume and --restart-on-mismatch succeeds in its second run
// at the latest, whatever an earlier run has left.
func TestRestartOnMismatch_NeedsTwoRunsAtMost(t *testing.T) {
	for store, interrupted := range interruptedStores(t) {
		for name, c := range mismatches {
			t.Run(store+" "+name, func(t *testing.T) {
				s := interrupted(t)
				stream := c.stream(s.data, s.part)
				for run := 1; run < c.runs; run++ {
					require.Equal(t, exitFailed, s.upload(stream, "--resume", "--restart-on-mismatch"), s.stderr())
					require.Contains(t, s.stderr(), "sluice: to upload the whole stream to it, run the same command again")
					require.Len(t, s.listed(), 2)
				}
				require.Equal(t, exitDone, s.upload(stream, "--resume", "--restart-on-mismatch"), s.stderr())
				if c.runs == 1 {
					require.Contains(t, s.stderr(), "starting anew; what is stored stays until a file at least as long is complete\n")
				}
				require.EqualValues(t, len(stream), s.size())
				require.Len(t, s.listed(), c.left)
				for range 2 { // more nights
					require.Equal(t, exitDone, s.upload(stream, "--resume", "--restart-on-mismatch"), s.stderr())
					require.Contains(t, s.stderr(), "has no unfinished large file: starting anew")
					require.Len(t, s.listed(), c.left)
				}
			})
		}
	}
}

func TestRestartOnMismatch_StartsAnewBeforeTheProducerRunsWhereTheFlagsDiffer(t *testing.T) {
	tr, s := newB2Trial(t, &b2test.Options{MinPartSize: 1 << 20})
	id := tr.leave(s, "x")[0]
	tr.again().stdin(noise(2_400_000))
	require.Equal(t, exitFailed, tr.run("--resume", "--info", "run=2", "b2://test-bucket/x", "--", "touch", "started"), tr.stderr())
	require.NoFileExists(t, "started")
	require.Contains(t, tr.stderr(), "large file "+id+": its info is")
	tr.again().stdin(noise(2_400_000))
	require.Equal(t, exitDone, tr.run("--resume", "--restart-on-mismatch", "--info", "run=2", "--part-size", "1MiB", "b2://test-bucket/x"), tr.stderr())
	require.NotContains(t, tr.stderr(), "has no unfinished large file")
	require.Equal(t, noise(2_400_000), b2Content(t, s, "x"))
}

func TestRestartOnMismatch_NeedsResume(t *testing.T) {
	for _, flags := range [][]string{{"--restart-on-mismatch"}, {"--restart-on-mismatch", "--resume-id", "x"}} {
		tr := newTrial(t)
		require.Equal(t, exitUsage, tr.run(append(flags, "mem://x")...))
		require.Contains(t, tr.stderr(), "--restart-on-mismatch needs --resume, and goes with no --resume-id")
	}
}
