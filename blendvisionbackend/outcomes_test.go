package blendvisionbackend_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// ownError is an answer of the service other than success.
func ownError(status, code int) *http.Response {
	return reply(status, fmt.Sprintf(`{"code": %d, "message": "no", "details": []}`, code))
}

// newStage is a server in a bubble, and a stage for the calls whose paths end in
// change. make prepares a call to the backend.
func newStage(
	t *testing.T, trial hostile.Trial, change string,
	prepare func(*blendvisionbackend.Backend, *bvtest.Server) (run func(context.Context) error, there func() bool),
) *hostile.Stage {
	var network pipenet.Network
	// The clock stands, so that no URL ends before what is done late.
	began := time.Now()
	server, err := bvtest.Start(&bvtest.Options{Listen: network.Listen, Now: func() time.Time { return began }})
	require.NoError(t, err)
	transport := httpx.NewTransport()
	transport.DialContext = network.Dial
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		time.Sleep(time.Second) // for connections whose request was not read to the end
	})
	var rt http.RoundTripper = transport
	b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials(server.Token(), server.OrgID()), &blendvisionbackend.Options{
		Endpoint: server.URL(), Retry: sluice.Retry{Attempts: 3},
		Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) { return rt.RoundTrip(r) }),
	})
	require.NoError(t, err)
	if trial.Sight.Old() {
		f, receipts := put(t, b, []byte("older"))
		_, err := f.Finish(t.Context(), receipts, sums([]byte("older")))
		require.NoError(t, err)
	}
	run, there := prepare(b, server)
	is := func(verb string) func(*http.Request) bool {
		return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, verb) }
	}
	return &hostile.Stage{
		Store: transport, Doubt: sluice.ErrFinishUnknown, There: there,
		Past:    testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { return ownError(404, 5), nil }),
		Changes: is(change), Looks: is(":download"), Removes: is(":cancel-upload"),
		Own: func(_ *http.Request, status int) *http.Response {
			return ownError(status, map[int]int{400: 11, 403: 7, 500: 13, 503: 14}[status])
		},
		Run: func(ctx context.Context, over http.RoundTripper) error {
			rt = over
			return run(ctx)
		},
	}
}

// put opens a session and uploads the data.
func put(t *testing.T, b *blendvisionbackend.Backend, data []byte) (sluice.LargeFile, []sluice.Receipt) {
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: int64(len(data))})
	require.NoError(t, err)
	r, err := f.UploadPart(t.Context(), sluice.NewPart(1, data, nil))
	require.NoError(t, err)
	return f, []sluice.Receipt{r}
}

// seconds are the statuses and codes by which the service may refuse a second
// finish: NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION and ABORTED.
var seconds = map[hostile.Sequel][2]int{
	hostile.Same: {404, 5}, hostile.Honest: {409, 6}, hostile.Refused: {400, 9}, hostile.GivenUp: {409, 10},
}

func TestOutcomesOfAFinish(t *testing.T) {
	t.Parallel()
	hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
		s := newStage(t, trial, ":complete-upload", func(b *blendvisionbackend.Backend, server *bvtest.Server) (func(context.Context) error, func() bool) {
			f, receipts := put(t, b, []byte("hello"))
			run := func(ctx context.Context) error {
				_, err := f.Finish(ctx, receipts, sums([]byte("hello")))
				if err != nil {
					_ = f.Cancel(context.WithoutCancel(ctx))
				}
				return err
			}
			id, _, _ := strings.Cut(f.Info().ID, "/")
			return run, func() bool {
				content, _ := server.Content(id)
				return string(content) == "hello"
			}
		})
		s.Known = true
		code := seconds[trial.Sequel]
		s.Conflict = func(*http.Request) *http.Response { return ownError(code[0], code[1]) }
		return s
	}, hostile.Conflicts)
}

func TestOutcomesOfAStart(t *testing.T) {
	t.Parallel()
	hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
		s := newStage(t, trial, "files:upload", func(b *blendvisionbackend.Backend, server *bvtest.Server) (func(context.Context) error, func() bool) {
			run := func(ctx context.Context) error {
				_, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: 5})
				return err
			}
			return run, func() bool {
				for _, s := range server.Sessions() {
					if s.State == bvtest.Open {
						return true
					}
				}
				return false
			}
		})
		s.Repeats = true
		s.Doubt = sluice.ErrLeftBehind
		// a start that was answered may be cancelled
		s.Removes = func(*http.Request) bool { return false }
		return s
	})
}

// The download call shows that there is a file, and not how long it is.
func TestFinish_IsUnknownIfTheServiceStoredAnotherSize(t *testing.T) {
	for size, stored := range map[string]string{
		"3": "3", "-1": "-1", "-9223372036854775808": "-9223372036854775808",
		// 4 modulo 2^64
		"9223372036854775808": "9223372036854775807", "18446744073709551620": "9223372036854775807",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := over(t, func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "files:upload"):
					return reply(200, openAnswer("library-id")), nil
				case strings.HasSuffix(r.URL.Path, ":download"):
					return reply(200, `{"id": "library-id", "download_uri": "https://objects.example/a"}`), nil
				case strings.HasSuffix(r.URL.Path, ":complete-upload"):
					return reply(200, `{"file": {"id": "library-id", "size": "`+size+`"}}`), nil
				}
				return nil, errors.New("nothing is cancelled")
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4})
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: "e"}}, sums([]byte("data")))
			require.ErrorIs(t, err, sluice.ErrFinishUnknown)
			require.ErrorContains(t, err, "complete-upload: unusable answer: "+stored+" bytes stored of 4")
			require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
		})
	}
}
