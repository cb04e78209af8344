package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
)

// virtual is a trial in virtual time: the program, a B2 server, and the network between them.
type virtual struct {
	*trial
	server  *b2test.Server
	network pipenet.Network
	wire    wire
}

// inVirtualTime runs the test in a bubble. Whatever the program waits for takes no time at all.
func inVirtualTime(t *testing.T, run func(t *testing.T, v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{trial: newTrial(t)}
		transport := httpx.NewTransport()
		transport.DialContext = v.network.Dial
		server, err := b2test.Start(&b2test.Options{Listen: v.network.Listen, MinPartSize: 1 << 20})
		require.NoError(t, err)
		v.server = server
		t.Setenv("B2_ENDPOINT", server.URL())
		t.Setenv("B2_APPLICATION_KEY_ID", server.KeyID())
		t.Setenv("B2_APPLICATION_KEY", server.Key())
		v.wire.RoundTripper = transport
		v.sys.schemes, v.sys.transport, v.sys.tick = destinations(), &v.wire, time.Tick
		defer func() {
			transport.CloseIdleConnections()
			server.Close()
			if !t.Failed() {
				require.NoError(t, server.Check())
			}
		}()
		run(t, v)
	})
}

// file makes data standard input as a regular file: a pipe is none of the bubble's, and time
// would stand still.
func (v *virtual) file(data []byte) {
	path := filepath.Join(v.t.TempDir(), "in")
	require.NoError(v.t, os.WriteFile(path, data, 0o600))
	f, err := os.Open(path)
	require.NoError(v.t, err)
	v.t.Cleanup(func() { f.Close() })
	v.sys.stdin = f
}

// wire notes when how many bytes of parts go out, over all connections.
type wire struct {
	http.RoundTripper

	mu    sync.Mutex
	began time.Time // of the first
	ended time.Time // of the last
	total int64
	// level is what a bucket of the rate and the burst has left, and least the least it ever
	// had: never below 0 means never more than rate × time + burst over any window.
	rate, burst, level, least float64
	conns                     int // that sent at the same time, at most
	sending                   int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/b2_upload_") {
		return w.RoundTripper.RoundTrip(r)
	}
	sent := r.WithContext(r.Context())
	sent.Body = &wireBody{r.Body, w}
	w.mu.Lock()
	w.sending++
	w.conns = max(w.conns, w.sending)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.sending--
		w.mu.Unlock()
	}()
	return w.RoundTripper.RoundTrip(sent)
}

func (w *wire) sent(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.total == 0 {
		w.began, w.ended, w.level, w.least = now, now, w.burst, w.burst
	}
	w.level = min(w.burst, w.level+w.rate*now.Sub(w.ended).Seconds()) - float64(n)
	w.least = min(w.least, w.level)
	w.ended = now
	w.total += int64(n)
}

type wireBody struct {
	io.ReadCloser
	wire *wire
}

func (b *wireBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 { // the transport looks for more when all is sent
		b.wire.sent(n)
	}
	return n, err
}

// The cap holds on the wire: over several connections at once, retries included, to the last
// part.
func TestRateIsNeverExceededOnTheWire(t *testing.T) {
	for rate, args := range map[float64]string{
		100_000:    "--rate 100KB",
		1_000:      "--rate 1KB", // an attempt lasts longer than any other may
		20_000_000: "--rate 20MB",
	} {
		t.Run(args, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, v *virtual) {
				v.wire.rate, v.wire.burst = rate, min(rate/8, 1<<20)
				data := noise(5_500_000)
				v.file(data)
				require.NoError(t, v.server.Inject(
					b2test.Fault{Call: "b2_upload_part", Part: 2, Status: 503},
					b2test.Fault{Call: "b2_upload_part", Part: 3, Kind: b2test.Drop},
					b2test.Fault{Call: "b2_upload_part", Part: 4, Status: 503, Count: 2},
				))
				require.Equal(t, exitDone, v.run(strings.Fields(args+" --json --memory 16MiB --part-size 1MiB b2://test-bucket/x")...), v.stderr())
				require.Equal(t, data, b2Content(t, v.server, "x"))
				require.GreaterOrEqual(t, v.wire.least, -0.001, "more than rate × time + burst in some window")
				again := v.object()["retries"].(float64) + v.object()["restarts"].(float64)
				require.GreaterOrEqual(t, again, 4.0, "each fault is a retry, unless it met an upload that was put back")
				require.Greater(t, v.wire.total, int64(len(data)), "the bytes of retries count")
				require.Greater(t, v.wire.conns, 1)
				// the waits before retries count for little
				if seconds := v.wire.ended.Sub(v.wire.began).Seconds(); seconds > 30 {
					require.InDelta(t, 1, float64(v.wire.total)/rate/seconds, 0.2, "and it is used")
				}
			})
		})
	}
}

func TestRateHoldsForAFileInOneCallToo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		v.wire.rate, v.wire.burst = 1000, 125
		v.file(noise(100_000))
		require.Equal(t, exitDone, v.run("-q", "--rate", "1000", "b2://test-bucket/x"), v.stderr())
		require.GreaterOrEqual(t, v.wire.least, -0.001)
		require.InDelta(t, 100, v.wire.ended.Sub(v.wire.began).Seconds(), 1)
	})
}

// A pod that takes a byte a second fails nothing: that its part went elsewhere is said.
func TestAStragglerIsReported(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		data := noise(8 << 20)
		v.file(data)
		require.NoError(t, v.server.Inject(b2test.Fault{Call: "b2_upload_part", Part: 6, Kind: b2test.SlowBody, Rate: 1}))
		require.Equal(t, exitDone, v.run("-v", "--json", "--memory", "16MiB", "--part-size", "1MiB", "--concurrency", "4", "b2://test-bucket/x"), v.stderr())
		require.Equal(t, data, b2Content(t, v.server, "x"))
		require.EqualValues(t, 1, v.object()["restarts"])
		require.EqualValues(t, 0, v.object()["retries"])
		require.Contains(t, v.stderr(), "sluice: part 6, attempt 1: far slower than other uploads, starting again; again in 0s\n")
		require.Regexp(t, `is stored, 8.3 MB in 8 parts, .*, 1 restart, id `, v.stderr())
	})
}

// A server that is away for half an hour, from the middle of an upload on.
func outageOf(v *virtual, after, length time.Duration) {
	time.AfterFunc(after, func() {
		v.network.SetWeather(pipenet.Refusing)
		v.network.Reset()
		time.AfterFunc(length, func() { v.network.SetWeather(pipenet.Up) })
	})
}

func TestAPatientUploadOutlastsAnOutageAndSaysWhatItWaitsFor(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		data := noise(5_500_000)
		v.file(data)
		began := time.Now()
		outageOf(v, 20*time.Second, 30*time.Minute)
		require.Equal(t, exitDone, v.run("--patient", "--rate", "100KB", "--memory", "16MiB", "--part-size", "1MiB", "b2://test-bucket/x"), v.stderr())
		require.Equal(t, data, b2Content(t, v.server, "x"))
		require.Greater(t, time.Since(began), 30*time.Minute)
		said := v.stderr()
		require.Regexp(t, `sluice: waiting for the store, which has failed for \d+s: .*connection refused; trying again in \d.*, and for up to 1h0m0s in all \(--patient\)`, said)
		require.Regexp(t, `sluice: waiting for the store, which has failed for 2\dm`, said, "it goes on saying so")
		require.Less(t, strings.Count(said, "waiting for the store, which"), 10, "but not with every attempt")
		require.Regexp(t, `(?s)sluice: the store answers again, after 3\dm\d+s.*is stored`, said)
		require.Equal(t, 1, strings.Count(said, "answers again"))
	})
}

func TestAPatientUploadOutlastsAnOutageAtItsStart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		v.file(noise(100))
		outageOf(v, 0, 30*time.Minute)
		synctest.Wait()
		require.Equal(t, exitDone, v.run("--patient", "b2://test-bucket/x"), v.stderr())
		require.Contains(t, v.stderr(), "waiting for the store")
		require.Contains(t, v.stderr(), "the store answers again")
	})
}

func TestAPatientGetOutlastsAnOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		data := noise(2_400_000)
		v.file(data)
		require.Equal(t, exitDone, v.run("--part-size", "1MiB", "b2://test-bucket/x"), v.stderr())
		v.again()
		v.network.SetWeather(pipenet.Refusing)
		v.network.Reset()
		time.AfterFunc(30*time.Minute, func() { v.network.SetWeather(pipenet.Up) })
		require.Equal(t, exitDone, v.run("get", "--patient", "b2://test-bucket/x"), v.stderr())
		require.Equal(t, data, v.stdout.Bytes())
		require.Contains(t, v.stderr(), "waiting for the store")
		require.Contains(t, v.stderr(), "the store answers again")
	})
}

func TestAnImpatientUploadFailsInAnOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		v.file(noise(5_500_000))
		outageOf(v, 20*time.Second, 30*time.Minute)
		v.server.ExpectUnfinished("x") // it could not be cancelled
		began := time.Now()
		require.Equal(t, exitFailed, v.run("--json", "--rate", "100KB", "--memory", "16MiB", "--part-size", "1MiB", "b2://test-bucket/x"))
		require.Less(t, time.Since(began), 30*time.Minute)
		require.Contains(t, v.stderr(), "connection refused")
		require.NotContains(t, v.stderr(), "waiting for the store, which")
		require.NotEmpty(t, v.object()["large_file"], "what is left is named")
		require.Empty(t, v.server.Files("test-bucket"))
		time.Sleep(time.Hour)
	})
}

func TestQuietIsQuietInAnOutageToo(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, v *virtual) {
		v.file(noise(100))
		outageOf(v, 0, 30*time.Minute)
		synctest.Wait()
		require.Equal(t, exitDone, v.run("-q", "--patient", "b2://test-bucket/x"))
		require.Empty(t, v.stderr())
	})
}
