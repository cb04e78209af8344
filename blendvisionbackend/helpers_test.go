package blendvisionbackend_test

import (
	"bytes"
	"crypto/sha1"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
)

const mebi = 1 << 20

// world is a backend and its server, in virtual time and without sockets.
type world struct {
	*testing.T
	server    *bvtest.Server
	backend   *blendvisionbackend.Backend
	transport *http.Transport
	log       *bytes.Buffer
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
		var network pipenet.Network
		// net/http lingers on connections whose request it did not read to the
		// end. This second is a virtual one.
		defer time.Sleep(time.Second)
		served.Listen = network.Listen
		server, err := bvtest.Start(&served)
		require.NoError(t, err)
		defer server.Close()

		transport := httpx.NewTransport()
		transport.DialContext = network.Dial
		defer transport.CloseIdleConnections()
		log := new(bytes.Buffer)
		clientOpts.Endpoint = server.URL()
		clientOpts.Transport = transport
		clientOpts.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		backend, err := blendvisionbackend.New(
			blendvisionbackend.NewCredentials(server.Token(), server.OrgID()), &clientOpts)
		require.NoError(t, err)
		run(world{t, server, backend, transport, log})
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
	for i, size := range f.Info().PartSizes {
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
