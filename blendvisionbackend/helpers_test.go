package blendvisionbackend_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/exchange"
)

const mebi = 1 << 20

// world is a backend and its server, in virtual time and without sockets.
type world struct {
	*testing.T
	server  *bvtest.Server
	backend *blendvisionbackend.Backend
	log     *bytes.Buffer
}

// inWorld runs the test in a bubble of virtual time. The server's Check is the test's own to call.
func inWorld(t *testing.T, opts *bvtest.Options, run func(w world)) {
	inWorldWith(t, opts, blendvisionbackend.Options{}, run)
}

func inWorldWith(t *testing.T, opts *bvtest.Options, clientOpts blendvisionbackend.Options, run func(w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var served bvtest.Options
		if opts != nil {
			served = *opts
		}
		network := &pipes{}
		// net/http lingers on connections whose request it did not read to the end. This second is a virtual one.
		defer time.Sleep(time.Second)
		defer network.close()
		served.Listen = network.listen
		server, err := bvtest.Start(&served)
		require.NoError(t, err)
		defer server.Close()

		transport := exchange.NewTransport()
		transport.DialContext = network.dial
		defer transport.CloseIdleConnections()
		log := new(bytes.Buffer)
		clientOpts.Endpoint = server.URL()
		clientOpts.Transport = transport
		clientOpts.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		backend, err := blendvisionbackend.New(
			blendvisionbackend.Credentials{Token: server.Token(), OrgID: server.OrgID()}, &clientOpts)
		require.NoError(t, err)
		run(world{t, server, backend, log})
	})
}

// inject scripts faults.
func (w world) inject(faults ...bvtest.Fault) {
	w.Helper()
	require.NoError(w, w.server.Inject(faults...))
}

// start opens a session for that many bytes.
func (w world) start(size int64) sluice.LargeFile {
	w.Helper()
	f, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "talk.mp4", Size: size})
	require.NoError(w, err)
	return f
}

// put uploads the parts of the content as planned.
func (w world) put(f sluice.LargeFile, content []byte) []sluice.Receipt {
	w.Helper()
	var receipts []sluice.Receipt
	for i, size := range f.Info().Plan {
		r, err := f.UploadPart(w.Context(), sluice.NewPart(i+1, content[:size], nil))
		require.NoError(w, err)
		receipts = append(receipts, r)
		content = content[size:]
	}
	return receipts
}

// ready opens a session for the content and uploads it.
func (w world) ready(content []byte) (sluice.LargeFile, []sluice.Receipt, sluice.Digests) {
	w.Helper()
	f := w.start(int64(len(content)))
	return f, w.put(f, content), sums(content)
}

// session is the newest one.
func (w world) session() bvtest.Session {
	sessions := w.server.Sessions()
	require.NotEmpty(w, sessions)
	return sessions[len(sessions)-1]
}

func sums(content []byte) sluice.Digests {
	sum := sha1.Sum(content)
	return sluice.Digests{{Name: "sha1", Sum: sum[:]}}
}

// pipes is a network without sockets: a goroutine that waits for it counts as blocked in virtual time.
type pipes struct {
	mu        sync.Mutex
	listeners []*pipeListener
}

// listen opens a listener on an address of its own, on loopback, so that plain http is allowed.
func (n *pipes) listen() (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &pipeListener{
		addr:  net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: len(n.listeners) + 1},
		conns: make(chan net.Conn), closed: make(chan struct{}),
	}
	n.listeners = append(n.listeners, l)
	return l, nil
}

func (n *pipes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: io.ErrClosedPipe}
	for _, l := range n.listeners {
		if l.addr.String() != address {
			continue
		}
		client, server := net.Pipe()
		select {
		case l.conns <- server:
			return client, nil
		case <-l.closed:
			return nil, refused
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, refused
}

func (n *pipes) close() {
	for _, l := range n.listeners {
		_ = l.Close()
	}
}

type pipeListener struct {
	addr   net.TCPAddr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &l.addr }
