package b2backend_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// piped is a server in a bubble, on a network in memory.
type piped struct {
	*b2test.Server
	network   pipenet.Network
	transport *http.Transport
	before    func(*http.Request) // is called with each request; may be nil
	after     func(*http.Request, *http.Response)
}

func newPiped(t *testing.T) *piped { return newPipedWith(t, &b2test.Options{}) }

func newPipedWith(t *testing.T, o *b2test.Options) *piped {
	p := &piped{transport: httpx.NewTransport()}
	p.transport.DialContext = p.network.Dial
	o.Listen, o.MinPartSize = p.network.Listen, minPart
	var err error
	p.Server, err = b2test.Start(o)
	require.NoError(t, err)
	return p
}

func (p *piped) close(t *testing.T) {
	p.transport.CloseIdleConnections()
	p.Close()
	if !t.Failed() {
		require.NoError(t, p.Check())
	}
}

func (p *piped) dial(t *testing.T) (*b2backend.Backend, error) {
	return p.dialWith(t, sluice.Retry{})
}

func (p *piped) dialWith(t *testing.T, retry sluice.Retry) (*b2backend.Backend, error) {
	return b2backend.New(t.Context(), mainKey(p.Server), p.Bucket(), &b2backend.Options{
		Endpoint: p.URL(), Retry: retry,
		Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			if p.before != nil {
				p.before(req)
			}
			resp, err := p.transport.RoundTrip(req)
			if err == nil && p.after != nil {
				p.after(req, resp)
			}
			return resp, err
		}),
	})
}

// connections are those of an upload that does one thing at a time: to
// authorize, to the API, and to upload.
const connections = 3

// Whatever byte of an upload is the last one of its connection, in either
// direction, the file is stored once, and whole.
func TestAnUploadSurvivesABreakAtEveryByte(t *testing.T) {
	for name, size := range map[string]int{"single": minPart / 2, "large": minPart + 1} {
		for dial := 1; dial <= connections; dial++ {
			for _, answer := range []bool{false, true} {
				for _, stall := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, connection %d, answer %v, stall %v", name, dial, answer, stall), func(t *testing.T) {
						t.Parallel()
						last, every := int64(0), int64(1)
						if testutil.Race { // which makes each run several times slower
							every = 13
						}
						for after := int64(0); ; after += every {
							b := &pipenet.Break{Dial: dial, Answer: answer, After: after, Stall: stall}
							synctest.Test(t, func(t *testing.T) { uploadOverBreak(t, b, size) })
							if !b.Fired() {
								break // all that the connection carries has been broken
							}
							last = after
						}
						require.Greater(t, last, int64(100), "an exchange is not that short")
					})
				}
			}
		}
	}
}

func uploadOverBreak(t *testing.T, broken *pipenet.Break, size int) {
	p := newPiped(t)
	defer p.close(t)
	p.network.Inject(broken)
	b, err := p.dial(t)
	require.NoError(t, err, "after %d bytes", broken.After)
	data := testutil.Content(size)
	opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MemoryLimit: 64 * minPart, Concurrency: 1}
	_, err = sluice.Upload(t.Context(), b, "swept", opts, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	require.NoError(t, err, "after %d bytes", broken.After)
	requireStored(t, p.Server, "swept", data)
	require.Len(t, p.Files(p.Bucket()), 1, "after %d bytes", broken.After)
	require.Empty(t, p.Unfinished())
}

// A server that starts anew has lost its connections and its upload URLs, and
// is away meanwhile.
func TestAnUploadSurvivesAServerThatStartsAnew(t *testing.T) {
	for at := time.Duration(0); at < 3*time.Second; at += 50 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			p := newPiped(t)
			defer p.close(t)
			b, err := p.dial(t)
			require.NoError(t, err)
			restarted := make(chan struct{})
			time.AfterFunc(at, func() {
				p.network.SetWeather(pipenet.Refusing)
				p.network.Reset()
				p.ExpireUploadTokens()
				time.AfterFunc(10*time.Second, func() {
					p.network.SetWeather(pipenet.Up)
					close(restarted)
				})
			})
			data := testutil.Content(20*minPart + 1)
			opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 30 * minPart, MemoryLimit: 8 * minPart, Concurrency: 3}
			_, err = sluice.Upload(t.Context(), b, "swept", opts, func(w io.Writer) error {
				for rest := data; len(rest) > 0; rest = rest[min(len(rest), minPart):] {
					time.Sleep(100 * time.Millisecond)
					if _, err := w.Write(rest[:min(len(rest), minPart)]); err != nil {
						return err
					}
				}
				return nil
			})
			require.NoError(t, err)
			<-restarted
			requireStored(t, p.Server, "swept", data)
			require.Len(t, p.Files(p.Bucket()), 1)
		})
	}
}
