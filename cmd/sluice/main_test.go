package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// asVariable makes the test binary another program: sluice itself, or a command that sluice
// runs.
const asVariable = "PIPE_TEST_AS"

func TestMain(m *testing.M) {
	// The tests do not read the settings of the user that runs them.
	_ = os.Setenv("XDG_CONFIG_HOME", "/nonexistent")
	switch os.Getenv(asVariable) {
	case "sluice":
		os.Exit(run(os.Args[1:], processSystem()))
	case "impatient sluice":
		sys := processSystem()
		sys.waitDelay, sys.typedDelay = time.Minute, 200*time.Millisecond
		os.Exit(run(os.Args[1:], sys))
	case "signal reporter":
		reportSignals(false)
	case "stubborn signal reporter":
		reportSignals(true)
	default:
		// What nohup and a shell's & ignore, the programs that the tests start would ignore too.
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
			if signal.Ignored(s) {
				signal.Notify(make(chan os.Signal, 1), s)
			}
		}
		os.Exit(m.Run())
	}
}

// reportSignals writes every signal it gets to standard error. SIGTERM and SIGHUP end it well
// unless it is stubborn.
func reportSignals(stubborn bool) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Stderr.WriteString("ready\n")
	for s := range signals {
		os.Stderr.WriteString("got " + s.String() + "\n")
		if s != os.Interrupt && !stubborn {
			os.Exit(0)
		}
	}
}

// childEnv is the environment of a test binary that is another program. With the race detector
// it would sleep for a second at its end.
func childEnv(as string) []string {
	return append(os.Environ(), asVariable+"="+as, "GORACE=atexit_sleep_ms=0", "TERM=xterm")
}

// reporter is the arguments that run such a program.
func reporter(t *testing.T, as string) []string {
	binary, err := os.Executable()
	require.NoError(t, err)
	return []string{"env", asVariable + "=" + as, binary}
}

// trial runs the program inside the test, with a store that the test sees into.
type trial struct {
	t       *testing.T
	sys     system
	store   *memorybackend.Backend
	faulty  *faults.Backend
	signals chan os.Signal
	ticks   chan time.Time
	ticking time.Duration // the interval asked for, 0 if none was
	limits  []int64       // set for the memory
	onHeap  bool
	stdout  bytes.Buffer
}

func newTrial(t *testing.T, injectors ...*faults.Injector) *trial {
	tr := &trial{
		t:       t,
		store:   memorybackend.New(nil),
		signals: make(chan os.Signal, 4),
		ticks:   make(chan time.Time),
		onHeap:  true,
	}
	tr.faulty = faults.New(tr.store, injectors...)
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { stderr.Close() })
	tr.sys = system{
		stdin:          tr.stdin(nil),
		environ:        os.Environ(),
		now:            time.Now,
		stdout:         &tr.stdout,
		stderr:         stderr,
		signals:        tr.signals,
		tick:           func(d time.Duration) <-chan time.Time { tr.ticking = d; return tr.ticks },
		setMemoryLimit: func(n int64) int64 { tr.limits = append(tr.limits, n); return 0 },
		schemes: []scheme{{
			name: "mem", form: "mem://NAME", about: "the test's",
			flags: []string{flagContentType, flagInfo, flagResume, flagResumeID, flagRestart},
			open: func(_ context.Context, rest string, _ opening) (*destination, error) {
				d := &destination{backend: tr.faulty, name: rest, onHeap: tr.onHeap}
				if tr.onHeap {
					d.readBack = func(name string) (io.ReadCloser, error) { return tr.store.Open(name) }
				}
				return d, nil
			},
		}},
		waitDelay:  time.Minute,
		typedDelay: time.Minute,
	}
	return tr
}

// stdin makes data what a pipe on standard input yields.
func (tr *trial) stdin(data []byte) *os.File {
	r, w := tr.openStdin()
	go func() {
		_, _ = w.Write(data)
		w.Close()
	}()
	return r
}

// openStdin makes standard input a pipe that the test, or the end of it, closes.
func (tr *trial) openStdin() (r, w *os.File) {
	r, w, err := os.Pipe()
	require.NoError(tr.t, err)
	tr.t.Cleanup(func() { w.Close(); r.Close() })
	tr.sys.stdin = r
	return r, w
}

func (tr *trial) run(args ...string) int { return run(args, tr.sys) }

// stderr is what was written so far.
func (tr *trial) stderr() string {
	data, err := os.ReadFile(tr.sys.stderr.Name())
	require.NoError(tr.t, err)
	return string(data)
}

// object is what --json wrote: exactly one object.
func (tr *trial) object() map[string]any {
	d := json.NewDecoder(bytes.NewReader(tr.stdout.Bytes()))
	var o map[string]any
	require.NoError(tr.t, d.Decode(&o), "stdout: %s", tr.stdout.String())
	require.ErrorIs(tr.t, d.Decode(new(any)), io.EOF, "a second object")
	return o
}

// requireNothing checks that there is neither a finished nor an unfinished file.
func (tr *trial) requireNothing() {
	tr.t.Helper()
	require.Empty(tr.t, tr.store.Names(), "finished files")
	require.Empty(tr.t, tr.store.Leftovers(""), "unfinished files")
}

// stored is the content of the finished file.
func (tr *trial) stored(name string) []byte {
	f, err := tr.store.Open(name)
	require.NoError(tr.t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(tr.t, err)
	return data
}

// noise is n bytes that no compressor shortens.
func noise(n int) []byte {
	data := make([]byte, n)
	x := uint64(n) + 0x9e3779b97f4a7c15
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}
