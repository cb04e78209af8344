package s3backend

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/pipenet"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// silent answers nothing.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

func TestStalledPartIsSentAgain(t *testing.T) {
	const size = 10
	for name, taken := range map[string]int64{"in the body": size / 2, "before the answer": size} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts, began := 0, time.Now()
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts == 1 {
						_, _ = io.CopyN(io.Discard, r.Body, taken)
						return silent(r)
					}
					_, _ = io.Copy(io.Discard, r.Body)
					return response(http.StatusOK, ""), nil
				})
				f := &largeFile{backend: b, name: "a", info: sluice.LargeFileInfo{ID: "u1"}}
				_, err := f.UploadPart(t.Context(), part(1, testutil.Content(size)))
				require.NoError(t, err)
				require.Equal(t, 2, attempts)
				require.GreaterOrEqual(t, time.Since(began), 2*time.Minute, "the stall that is borne")
			})
		})
	}
}

// A part whose bytes are all out when the context ends is waited for, so that
// it does not arrive after the upload was cancelled; but not for ever.
func TestPartThatIsOutIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		answers bool
		err     error
		took    time.Duration
	}{
		"answered": {true, nil, time.Second},
		"mute":     {false, context.Canceled, partGrace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					_, _ = io.Copy(io.Discard, r.Body)
					cancel()
					if !c.answers {
						return silent(r)
					}
					time.Sleep(c.took)
					return response(http.StatusOK, ""), nil
				})
				f := &largeFile{backend: b, name: "a", info: sluice.LargeFileInfo{ID: "u1"}}
				began := time.Now()
				_, err := f.UploadPart(ctx, part(1, testutil.Content(10)))
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.took, time.Since(began))
			})
		})
	}
}

// slowStart is a store that answers the start of an upload only when the caller
// has given up and a while has passed.
type slowStart struct {
	giveUp  func()
	after   time.Duration // the answer; 0: none
	refuses bool          // to cancel
	aborted int
}

func (s *slowStart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		synctest.Wait() // the client knows that all of its request is out
		s.giveUp()
		if s.after == 0 {
			<-r.Context().Done()
			return
		}
		time.Sleep(s.after)
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodDelete && s.refuses:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, xmlError, "AccessDenied")
	case r.Method == http.MethodDelete:
		s.aborted++
		w.WriteHeader(http.StatusNoContent)
	default: // is the upload gone?
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, xmlError, "NoSuchUpload")
	}
}

// overPipes serves the store on a network in memory, until the test ends.
func overPipes(t *testing.T, store http.Handler) *Backend {
	var network pipenet.Network
	l, err := network.Listen("tcp", "127.0.0.1:80")
	require.NoError(t, err)
	server := &http.Server{Handler: store}
	transport := httpx.NewTransport()
	transport.DialContext = network.Dial
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		serving.Wait()
	})
	b, err := New(t.Context(), "bucket", &Options{
		Endpoint: "http://127.0.0.1:80", Region: "us-east-1", Transport: transport, Retry: quick,
		Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession)),
	})
	require.NoError(t, err)
	return b
}

// A start under way when the context ends is waited for, and its upload cancelled.
func TestStartCutShortIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &slowStart{giveUp: cancel, after: retry.StartGrace - 1}
		b := overPipes(t, store)
		began := time.Now()
		_, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, sluice.ErrLeftBehind)
		require.Equal(t, 1, store.aborted)
		require.Equal(t, store.after, time.Since(began))
	})
}

// But not for ever: then it says what may be left.
func TestStartCutShortThatIsNotAnsweredIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := overPipes(t, &slowStart{giveUp: cancel})
		began := time.Now()
		_, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, sluice.ErrLeftBehind)
		require.Equal(t, retry.StartGrace, time.Since(began))
	})
}

// An upload that was started as the context ended, and cannot be cancelled, is
// named by the stream's error.
func TestStartCutShortThatCannotBeCancelledIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := overPipes(t, &slowStart{giveUp: cancel, after: time.Second, refuses: true})
		_, err := stream(ctx, b, "a", testutil.Content(minPart+100))
		require.ErrorIs(t, err, context.Canceled)
		var e *sluice.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "u1", e.LargeFile)
		require.ErrorContains(t, e.Cleanup, "AccessDenied")
	})
}

func TestADownloadThatStallsGoesOnElsewhere(t *testing.T) {
	data := "the first half and the second half"
	for name, first := range map[string]testutil.RoundTripFunc{
		"before the answer": silent,
		"within it": func(r *http.Request) (*http.Response, error) {
			resp := response(http.StatusOK, data)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(data[:14]), testutil.ReaderFunc(func([]byte) (int, error) {
				_, err := silent(r)
				return 0, err
			})))
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts == 1 {
						return first(r)
					}
					if r.Header.Get("Range") == "bytes=0-33" {
						return response(http.StatusOK, data), nil
					}
					return response(http.StatusPartialContent, data[14:], "Content-Range", "bytes 14-33/34"), nil
				})
				f := sluice.StoredFile{File: sluice.File{ID: "t", Name: "a", Size: int64(len(data))}, ETag: `"t"`}
				got := sluice.NewRange(0, f.Size)
				require.NoError(t, b.ReadRange(t.Context(), f, got))
				require.Equal(t, data, string(got.Bytes()))
				require.Equal(t, 2, attempts)
			})
		})
	}
}
