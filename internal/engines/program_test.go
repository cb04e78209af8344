//go:build unix

package engines

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/s3backend"
)

// The trials of this file run the program as a process, and other programs beside it.

// programs is the folder of the programs that are built, "" while there are none.
var programs string

// binaries builds the programs, once, and returns their folder.
var binaries = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "engines")
	programs = folder
	for name, source := range map[string]string{"sluice": "../../cmd/sluice", "peak": "../../cmd/sluice/endtoend/testdata/peak"} {
		if err == nil {
			_, err = run(context.Background(), ".", "go", "build", "-o", filepath.Join(folder, name), source)
		}
	}
	return folder, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs) // of temporary files
	}
	os.Exit(code)
}

// program is a run of sluice, or of another program, in a process of its own.
type program struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

// program makes a command that has the store's keys.
func (s *stage) program(t *testing.T, name string, args ...string) *program {
	none := filepath.Join(t.TempDir(), "none")
	p := &program{Cmd: exec.CommandContext(t.Context(), name, args...)}
	p.Env = append( // nothing else of this machine's
		[]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}, "AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+SecretKey, "AWS_REGION="+Region,
		"AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none, "RCLONE_CONFIG="+none,
	)
	if s.CA != "" {
		p.Env = append(p.Env, "SSL_CERT_FILE="+s.CA)
	}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

// sluice makes a command of the program. The last argument is the name of the file.
func (s *stage) sluice(t *testing.T, args ...string) *program {
	folder, err := binaries()
	require.NoError(t, err)
	last := len(args) - 1
	args = append(args[:last:last], "--endpoint", s.URL, "--path-style", "s3://"+s.bucket+"/"+args[last])
	return s.program(t, filepath.Join(folder, "sluice"), args...)
}

// succeed runs it, and returns what it printed.
func (p *program) succeed(t *testing.T) []byte {
	t.Helper()
	require.NoError(t, p.Run(), "%s %q: %s", p.Path, p.Args, p.stderr.String())
	return p.stdout.Bytes()
}

// long is the length of the longest stream of the trials.
const long = 310_000_000

// memory is what sluice takes at most, in MiB, to upload it with --memory 64MiB.
const memory = 100

func noise(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

func sumOf(t *testing.T, r io.Reader) string {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// longStream stores a long stream in little memory. rclone reads it, and so does a Reader, in
// parallel.
func longStream(t *testing.T, s *stage) string {
	needTool(t, "rclone")
	folder, err := binaries()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "peak")
	put := s.sluice(t, "put", "-q", "--memory", "64MiB", "long")
	put.Args = append([]string{"peak", file}, append([]string{put.Path}, put.Args[1:]...)...)
	put.Path = filepath.Join(folder, "peak")
	put.Stdin = noise(long)
	put.succeed(t)
	require.Empty(t, put.stderr.String())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	kib, err := strconv.Atoi(string(text))
	require.NoError(t, err)
	t.Logf("peak of resident memory: %d MiB", kib>>10)
	require.LessOrEqual(t, kib>>10, memory)

	want := sumOf(t, noise(long))
	read := s.rclone(t, "cat", "long")
	out, err := read.pipe()
	require.NoError(t, err)
	require.Equal(t, want, sumOf(t, out), "rclone")
	require.NoError(t, read.Wait(), read.stderr.String())

	r, err := sluice.NewReader(t.Context(), s.backend(t, s3backend.Options{}), "long",
		&sluice.ReadOptions{Concurrency: 4, MemoryLimit: 64 << 20})
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, want, sumOf(t, r), "a Reader")
	return yes
}

// pipe starts the program and returns its output.
func (p *program) pipe() (io.Reader, error) {
	p.Stdout = nil
	out, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	return out, err
}

// needTool skips the test, loudly, if a program is not installed.
func needTool(t *testing.T, name string) {
	if _, err := exec.LookPath(name); err != nil {
		require.NotEqual(t, "required", os.Getenv("SLUICE_TEST_TOOLS"), err)
		t.Skip("NOT TESTED:", err)
	}
}

// rclone makes a command of rclone about a file.
func (s *stage) rclone(t *testing.T, command, name string) *program {
	args := []string{command, "--s3-provider=Other", "--s3-env-auth", "--s3-endpoint=" + s.URL, "--s3-region=" + Region, "--retries=1"}
	if s.CA != "" {
		args = append(args, "--ca-cert="+s.CA)
	}
	return s.program(t, "rclone", append(args, ":s3:"+s.bucket+"/"+name)...)
}

// foreignClients read files of odd names, small and large.
func foreignClients(t *testing.T, s *stage) string {
	needTool(t, "rclone")
	needTool(t, "s3cmd")
	const name = "a b+c%20d/ü"
	for _, n := range []int{0, large} {
		data := testutil.Content(n)
		_, err := upload(t.Context(), s.backend(t, s3backend.Options{}), name, data, sluice.Options{})
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, s.rclone(t, "cat", name).succeed(t)), "rclone, %d bytes", n)

		config := filepath.Join(t.TempDir(), "s3cfg")
		require.NoError(t, os.WriteFile(config, nil, 0o600))
		host := strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://")
		args := []string{
			"-c", config, "--access_key=" + AccessKey, "--secret_key=" + SecretKey, "--region=" + Region,
			"--host=" + host, "--host-bucket=" + host, "--no-progress",
		}
		if s.CA == "" {
			args = append(args, "--no-ssl")
		} else {
			args = append(args, "--ssl", "--ca-certs="+s.CA, "--no-check-hostname")
		}
		file := filepath.Join(t.TempDir(), "file")
		s.program(t, "s3cmd", append(args, "get", "s3://"+s.bucket+"/"+name, file)...).succeed(t)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "s3cmd, %d bytes", n)

		// it tells wrong checksums, which the client of AWS compares
		if n == 0 || s.Kind == Gofakes3 {
			continue
		}
		if _, err := exec.LookPath("aws"); err == nil {
			aws := s.program(t, "aws", "--endpoint-url", s.URL, "s3", "cp", "s3://"+s.bucket+"/"+name, "-")
			aws.Env = append(aws.Env, "AWS_CA_BUNDLE="+s.CA)
			require.True(t, bytes.Equal(data, aws.succeed(t)), "aws, %d bytes", n)
		} else {
			t.Log("NOT TRIED: the client of AWS, which is not installed")
		}
	}
	return yes
}

// interrupted begins to upload a stream, and sends the process a signal once the store holds some
// parts of it. It returns how many bytes were stored then, and whether the process ended well.
func (s *stage) interrupted(t *testing.T, name string, data []byte, signal syscall.Signal, flags ...string) (stored int64, ended error) {
	source, pipe, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	p := s.sluice(t, append(append([]string{"put", "-q", "--memory", "64MiB", "--part-size", "5MiB"}, flags...), name)...)
	p.Stdin = source
	require.NoError(t, p.Start())
	require.NoError(t, source.Close())
	_, err = pipe.Write(data[:len(data)/4*3]) // the process takes it as it stores it
	require.NoError(t, err)
	b := s.backend(t, s3backend.Options{})
	require.Eventually(t, func() bool {
		stored = 0
		for u, err := range b.Unfinished(t.Context(), name) {
			require.NoError(t, err)
			parts, err := b.Parts(t.Context(), u)
			require.NoError(t, err)
			for _, part := range parts {
				stored += part.Size
			}
		}
		return stored >= 15<<20
	}, 2*time.Minute, 20*time.Millisecond)
	require.NoError(t, p.Process.Signal(signal))
	return stored, p.Wait()
}

// terminated has SIGTERM end an upload, which then leaves nothing.
func terminated(t *testing.T, s *stage) string {
	_, ended := s.interrupted(t, "a", testutil.Content(40<<20), syscall.SIGTERM)
	require.Error(t, ended)
	require.Empty(t, unfinished(t, s.backend(t, s3backend.Options{}), ""))
	require.Empty(t, s.rclone(t, "lsf", "").succeed(t))
	return yes
}

// killed has SIGKILL end an upload, and resumes it.
func killed(t *testing.T, s *stage) string {
	const name = "a b+c%20d/ü"
	data := testutil.Content(40 << 20)
	s.killedAndResumed(t, name, data)
	require.True(t, bytes.Equal(data, s.sluice(t, "get", "-q", name).succeed(t)))
	require.Empty(t, unfinished(t, s.backend(t, s3backend.Options{}), ""))
	return yes
}

// killedAndResumed kills an upload and resumes it: all that was stored is used.
func (s *stage) killedAndResumed(t *testing.T, name string, data []byte) {
	stored, ended := s.interrupted(t, name, data, syscall.SIGKILL, "--resume")
	require.Error(t, ended)
	again := s.sluice(t, "put", "--json", "--memory", "64MiB", "--resume", name)
	again.Stdin = bytes.NewReader(data)
	var report struct {
		Reused int64 `json:"reused_bytes"`
		Size   int64 `json:"size"`
	}
	require.NoError(t, json.Unmarshal(again.succeed(t), &report), again.stderr.String())
	require.EqualValues(t, len(data), report.Size)
	require.GreaterOrEqual(t, report.Reused, stored)
}

// cancels cancels unfinished files: one by its ID, those of a name, and those of a prefix.
func cancels(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{})
	ids := map[string]string{}
	for _, name := range []string{"db/1 a", "db/2+b", "db/ü", "log"} {
		f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: name, Size: sluice.UnknownSize})
		require.NoError(t, err)
		ids[name] = f.Info().ID
	}
	left := func() []string { return unfinished(t, b, "") }
	id := s.sluice(t, "cancel", "db/1 a")
	id.Args = append(id.Args, ids["db/1 a"])
	id.succeed(t)
	require.ElementsMatch(t, []string{"db/2+b", "db/ü", "log"}, left())

	again := s.sluice(t, "cancel", "db/1 a")
	again.Args = append(again.Args, ids["db/1 a"])
	require.Error(t, again.Run(), "it is gone")
	require.Contains(t, again.stderr.String(), "has no unfinished large file "+ids["db/1 a"])

	s.sluice(t, "cancel", "db/ü").succeed(t)
	require.ElementsMatch(t, []string{"db/2+b", "log"}, left())
	s.sluice(t, "cancel", "--prefix", "--older", "0s", "db").succeed(t)
	require.Equal(t, []string{"log"}, left())
	return yes
}

// manyMachines has four processes upload at once. Uploaders know nothing of each other: when one is
// killed, the others store their files, and it resumes its own.
func manyMachines(t *testing.T, s *stage) string {
	name := func(i int) string { return fmt.Sprintf("host-%d/2026-11-20.tar", i) }
	data := func(i int) []byte { return testutil.Content(40<<20 + i) }
	var machines []*program
	for i := range 3 {
		p := s.sluice(t, "put", "-q", "--memory", "64MiB", name(i))
		p.Stdin = bytes.NewReader(data(i))
		require.NoError(t, p.Start())
		machines = append(machines, p)
	}
	s.killedAndResumed(t, name(3), data(3))
	for i := range 4 {
		if i < 3 {
			require.NoError(t, machines[i].Wait(), machines[i].stderr.String())
		}
		requireContent(t, data(i), s.ask(t, http.MethodGet, name(i), ""))
	}
	require.Empty(t, unfinished(t, s.backend(t, s3backend.Options{}), ""))
	return yes
}
