package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// victim is a child that is killed: once a server has read so many bytes, or a
// certain one of its calls; once the child has said of so many parts that they
// are stored; or when it has been given so much of its input.
type victim struct {
	bytes int64  // 0: not by bytes
	call  string // "": not by a call
	parts int    // 0: not by parts
	fed   int    // bytes of standard input that it is given; 0: all, and it is not killed for them

	read    atomic.Int64
	mu      sync.Mutex
	process *os.Process
	killed  bool
}

func (v *victim) kill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.process != nil && !v.killed {
		v.killed = v.process.Kill() == nil
	}
}

// saw is told of all that the server reads, as it does.
func (v *victim) saw(q []byte) {
	if n := v.read.Add(int64(len(q))); v.bytes > 0 && n >= v.bytes || v.call != "" && bytes.Contains(q, []byte(v.call)) {
		v.kill()
	}
}

// sockets is a B2 server on real ones, whose reads a victim is told of.
type sockets struct {
	*b2test.Server
	victim    atomic.Pointer[victim]
	listeners []net.Listener

	mu       sync.Mutex
	changed  *sync.Cond
	accepted map[string]bool // by the client's address, of those still open
}

func newSockets(t *testing.T) *sockets {
	s := &sockets{accepted: map[string]bool{}}
	s.changed = sync.NewCond(&s.mu)
	var err error
	s.Server, err = b2test.Start(&b2test.Options{
		MinPartSize: childPage, RecommendedPartSize: childPage, MaxAuthorize: -1,
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			if err != nil {
				return nil, err
			}
			s.listeners = append(s.listeners, l)
			return watched{l, s}, nil
		},
	})
	require.NoError(t, err)
	return s
}

// settle waits until the server is done with all that a dead client sent.
// Connections are accepted in order, so that one of our own comes after all of
// the client's.
func (s *sockets) settle(t *testing.T) {
	for _, l := range s.listeners {
		c, err := net.Dial(l.Addr().Network(), l.Addr().String())
		require.NoError(t, err)
		s.await(func() bool { return s.accepted[c.LocalAddr().String()] })
		require.NoError(t, c.Close())
	}
	s.await(func() bool { return len(s.accepted) == 0 })
}

func (s *sockets) await(done func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		s.changed.Wait()
	}
}

func (s *sockets) set(client string, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.accepted[client] = true
	} else {
		delete(s.accepted, client)
	}
	s.changed.Broadcast()
}

type watched struct {
	net.Listener
	sockets *sockets
}

func (l watched) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.sockets.set(c.RemoteAddr().String(), true)
	return watchedConn{c, l.sockets}, nil
}

type watchedConn struct {
	net.Conn
	sockets *sockets
}

func (c watchedConn) Read(q []byte) (int, error) {
	n, err := c.Conn.Read(q)
	if v := c.sockets.victim.Load(); v != nil {
		v.saw(q[:n])
	}
	return n, err
}

func (c watchedConn) Close() error {
	c.sockets.set(c.RemoteAddr().String(), false)
	return c.Conn.Close()
}

// run starts a child and returns when it has ended; killed says how.
func (v *victim) run(t *testing.T, s *spec) (killed bool, said string) {
	text, err := json.Marshal(s)
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	lines, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stdin io.WriteCloser
	if s.Stdin {
		stdin, err = cmd.StdinPipe()
		require.NoError(t, err)
	}
	v.mu.Lock()
	err = cmd.Start()
	v.process = cmd.Process
	v.mu.Unlock()
	require.NoError(t, err)
	var feeding sync.WaitGroup
	var broken error
	if stdin != nil {
		feeding.Go(func() {
			all := contentOf(s.Content, s.Size)
			if v.fed > 0 {
				all = all[:v.fed]
			}
			_, broken = stdin.Write(all)
			if v.fed > 0 {
				v.kill()
			}
			_ = stdin.Close()
		})
	}
	parts := 0
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		if parts++; parts == v.parts {
			v.kill()
		}
	}
	feeding.Wait()
	if broken != nil {
		require.ErrorIs(t, broken, syscall.EPIPE, "what the source's end of the pipe of a killed child says")
	}
	err = cmd.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.process = nil
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && v.killed && !exit.Exited() {
		tally.killed.Add(1)
		return true, ""
	}
	if err != nil {
		return false, stderr.String()
	}
	return false, ""
}

// randomSpec is an upload to s. Each run of a chain may be set otherwise.
func randomSpec(rng *rand.Rand, s *sockets, key uint64, size int) *spec {
	return &spec{
		Endpoint: s.URL(), KeyID: s.KeyID(), Key: s.Key(), Bucket: s.Bucket(), Content: key, Size: size, Stdin: oneIn(rng, 3),
		Memory: childPage * (16 + rng.Int64N(16)), PartSize: childPage * (1 + rng.Int64N(4)), Concurrency: rng.IntN(5),
	}
}

// disturbed tells whether an upload failed because of an earlier run: it has
// cut the stream otherwise, or its last request was still under way, and came
// after ours.
func disturbed(said string) bool {
	mismatch := strings.TrimPrefix(sluice.ErrResumeMismatch.Error(), "sluice: ")
	return strings.Contains(said, mismatch) || strings.Contains(said, "part_sha1_mismatch") || strings.Contains(said, "No active upload")
}

// cancel cancels what is unfinished, as a user does before a new start.
func (s *spec) cancel(t *testing.T) {
	b, disconnect, err := s.connect(t.Context())
	require.NoError(t, err)
	defer disconnect()
	for u, err := range b.Unfinished(t.Context(), "f") {
		require.NoError(t, err)
		large, err := b.ResumeLargeFile(t.Context(), u.Spec, u.ID)
		require.NoError(t, err)
		require.NoError(t, large.Cancel(t.Context()))
	}
}

// chain is a file that children are killed over.
type chain struct {
	server  *sockets
	first   *spec
	buffers string
	// calm means that all runs cut the stream alike, and none begins before the
	// server is done with the one before. A wild chain may have to start anew.
	// One that is neither is killed once, before its finish.
	calm, wild bool
}

func newChain(t *testing.T, rng *rand.Rand) *chain {
	c := &chain{server: newSockets(t), buffers: t.TempDir()}
	c.first = randomSpec(rng, c.server, rng.Uint64(), 8*childPage+rng.IntN(100*childPage))
	c.calm = oneIn(rng, 2)
	c.wild = !c.calm && oneIn(rng, 2)
	return c
}

// next is the next run's upload.
func (c *chain) next(rng *rand.Rand) *spec {
	s := randomSpec(rng, c.server, c.first.Content, c.first.Size)
	if !c.wild {
		s.Memory, s.PartSize, s.Concurrency = c.first.Memory, c.first.PartSize, c.first.Concurrency
	}
	if oneIn(rng, 4) {
		s.BufferDir = c.buffers
	}
	return s
}

// kill runs a child to be killed, and reports whether it finished the file all the same.
func (c *chain) kill(t *testing.T, rng *rand.Rand) (finished bool) {
	v := &victim{}
	switch how := rng.IntN(5); {
	case how == 0 && (c.calm || c.wild):
		v.parts = 1 + rng.IntN(4)
	case how == 1 && (c.calm || c.wild):
		v.call = "b2_finish_large_file"
	default:
		v.bytes = 1 + rng.Int64N(int64(c.first.Size))
	}
	c.server.victim.Store(v)
	killed, said := v.run(t, c.next(rng))
	c.server.victim.Store(nil)
	if c.calm {
		c.server.settle(t)
	}
	switch {
	case killed:
		return false
	case c.wild && disturbed(said):
		c.startAnew(t)
		return false
	}
	require.Empty(t, said)
	return true
}

// finish runs the last upload, in this process or a child.
func (c *chain) finish(t *testing.T, rng *rand.Rand) {
	s := c.next(rng)
	if !c.wild && oneIn(rng, 6) {
		killed, said := new(victim).run(t, s)
		require.False(t, killed)
		require.Empty(t, said)
		return
	}
	s.Stdin = false
	err := s.upload(t.Context(), func() {})
	if err != nil && c.wild && disturbed(err.Error()) {
		c.startAnew(t)
		err = s.upload(t.Context(), func() {})
	}
	require.NoError(t, err)
}

func (c *chain) startAnew(t *testing.T) {
	c.server.settle(t)
	c.first.cancel(t)
}

// A child is killed, and perhaps another one after it, until one is let live or
// the parent finishes the file.
func TestKilledProcesses(t *testing.T) {
	sweep(t, 210, func(t *testing.T, rng *rand.Rand) {
		c := newChain(t, rng)
		defer c.server.Close()
		finished := c.kill(t, rng)
		if (c.calm || c.wild) && !finished && oneIn(rng, 2) {
			finished = c.kill(t, rng)
		}
		if !finished {
			c.finish(t, rng)
		}
		want := contentOf(c.first.Content, c.first.Size)
		files := c.server.Files(c.server.Bucket())
		require.NotEmpty(t, files)
		// a finish may be done though its caller was killed, and then the file
		// is sent again
		for _, f := range files {
			verify(t, read(t, f), want)
		}
		require.Empty(t, c.server.Unfinished())
		if !c.wild {
			require.NoError(t, c.server.Check())
		}
		left, err := os.ReadDir(c.buffers)
		require.NoError(t, err)
		require.Empty(t, left, "a buffer file is gone with its process")
	})
}

// The disk is full from some byte of the buffer file on.
func TestFullDisks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a buffer file needs a system that removes open files")
	}
	sweep(t, 10, func(t *testing.T, rng *rand.Rand) {
		server := newSockets(t)
		defer server.Close()
		s := randomSpec(rng, server, rng.Uint64(), 100*childPage)
		s.BufferDir = t.TempDir()
		s.FileLimit = uint64(rng.Int64N(2 * childPage))
		_, said := new(victim).run(t, s)
		require.Contains(t, said, `sluice: buffer "f": write `+s.BufferDir)
		require.Contains(t, said, syscall.EFBIG.Error())
		tally.faults.Add(1)
		require.Empty(t, server.Files(server.Bucket()))
		require.Empty(t, server.Unfinished())
		require.NoError(t, server.Check())
		left, err := os.ReadDir(s.BufferDir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}
