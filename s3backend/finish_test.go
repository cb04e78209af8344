package s3backend

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// uploaded is a large file of two parts, ready to be finished.
func uploaded(t *testing.T, b *Backend, name string, data []byte) (sluice.LargeFile, []sluice.Receipt) {
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: name, Size: sluice.UnknownSize})
	require.NoError(t, err)
	var receipts []sluice.Receipt
	for i, bytes := range [][]byte{data[:minPart], data[minPart:]} {
		r, err := f.UploadPart(t.Context(), part(i+1, bytes))
		require.NoError(t, err)
		receipts = append(receipts, r)
	}
	return f, receipts
}

type strike = func(*testing.T, http.ResponseWriter, *http.Request, http.Handler)

// Outcomes of a finish that never gets an answer of its own.
func TestFinishWithoutAnAnswer(t *testing.T) {
	const complete, look, head = "CompleteMultipartUpload", "ListParts", "HeadObject"
	denied := answer(http.StatusForbidden, "")
	down := answer(http.StatusServiceUnavailable, "SlowDown")
	for _, c := range []struct {
		name     string
		faults   map[string]strike
		outcome  error // nil, sluice.ErrFinishUnknown, or any other for a certain failure
		finished bool
	}{
		{"done, all answers lost", map[string]strike{complete: lose}, nil, true},
		{"done, all answers cut", map[string]strike{complete: cut}, nil, true},
		{"done, answered by a gateway", map[string]strike{complete: loseTo(http.StatusGatewayTimeout)}, nil, true},
		{"done, answered by Cloudflare", map[string]strike{complete: loseTo(524)}, nil, true},
		{"done, the file may not be read", map[string]strike{complete: lose, head: denied}, sluice.ErrFinishUnknown, true},
		{"done, the parts may not be listed", map[string]strike{complete: lose, look: denied}, nil, true},
		{"done, neither", map[string]strike{complete: lose, head: denied, look: denied}, sluice.ErrFinishUnknown, true},
		{"done, the store goes down", map[string]strike{complete: lose, head: down, look: down}, sluice.ErrFinishUnknown, true},
		{"never arrived", map[string]strike{complete: drop}, sluice.ErrFinishUnknown, false},
		{"200 with an error", map[string]strike{complete: answer(http.StatusOK, "InternalError")}, sluice.ErrFinishUnknown, false},
		{"busy for ever", map[string]strike{complete: down}, sluice.ErrFinishUnknown, false},
		{"refused", map[string]strike{complete: answer(http.StatusForbidden, "AccessDenied")}, errCertain, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var faults []*fault
			for call, strike := range c.faults {
				faults = append(faults, &fault{calls: call, strike: strike})
			}
			p := newProxy(t, false, faults...)
			b := newBackend(t, p.URL, newBucket(t), nil)
			direct := newBackend(t, server.URL, b.client.bucket, nil)
			data := testutil.Content(minPart + 10)
			f, receipts := uploaded(t, b, "a", data)
			file, err := f.Finish(t.Context(), receipts, nil)
			switch c.outcome {
			case nil:
				require.NoError(t, err)
				require.NotEmpty(t, file.ID)
				require.Equal(t, int64(len(data)), file.Size)
			case errCertain:
				require.Error(t, err)
				require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			default:
				require.ErrorIs(t, err, c.outcome)
			}
			if c.finished {
				got, _ := contents(t, direct, "a")
				require.True(t, bytes.Equal(data, got))
			} else {
				requireAbsent(t, direct, "a")
				require.Equal(t, []string{f.Info().ID}, leftovers(t, direct))
			}
			err = f.Cancel(t.Context())
			if c.outcome == sluice.ErrFinishUnknown {
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Zero(t, p.count("AbortMultipartUpload"), "nothing is cancelled while nobody knows")
			} else {
				require.NoError(t, err)
				require.Empty(t, leftovers(t, direct))
			}
		})
	}
}

// errCertain stands for a failure that is certain.
var errCertain = http.ErrNotSupported

// loseTo has the server do what is asked, and a gateway answer.
func loseTo(status int) strike {
	return func(_ *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
		pass.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(status)
	}
}

// One answer is lost: the finish is done, and not sent again.
func TestLostFinishIsLookedUpFirst(t *testing.T) {
	p := newProxy(t, false, &fault{calls: "CompleteMultipartUpload", times: 1, strike: lose})
	b := newBackend(t, p.URL, newBucket(t), nil)
	f, receipts := uploaded(t, b, "a", testutil.Content(minPart+10))
	file, err := f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	require.Equal(t, 1, p.count("CompleteMultipartUpload"))
	_, header := contents(t, b, "a")
	require.Equal(t, header.Get("Etag"), `"`+file.ID+`"`)
}

// The finish is done and its answer lost, and another file of the name is
// there: it is not taken for ours.
func TestAnotherFileIsNotTakenForTheFinishedOne(t *testing.T) {
	data := testutil.Content(minPart + 10)
	bucket := newBucket(t)
	direct := newBackend(t, server.URL, bucket, nil)
	other := bytes.Clone(data)
	other[0] ^= 1
	p := newProxy(t, false, &fault{
		calls: "CompleteMultipartUpload",
		strike: func(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
			pass.ServeHTTP(httptest.NewRecorder(), r)
			_, err := stream(context.Background(), direct, "a", other)
			if err != nil {
				t.Error(err)
			}
			hangUp(t, w)
		},
	})
	b := newBackend(t, p.URL, bucket, nil)
	f, receipts := uploaded(t, b, "a", data)
	_, err := f.Finish(t.Context(), receipts, nil)
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
}

// A finish whose answer was lost may still be at work in the store, whatever it
// says to the next one.
func TestRefusalAfterALostFinishProvesNothing(t *testing.T) {
	const complete = "CompleteMultipartUpload"
	p := newProxy(t, false,
		&fault{calls: complete, times: 1, strike: drop},
		&fault{calls: complete, strike: answer(http.StatusForbidden, "AccessDenied")})
	b := newBackend(t, p.URL, newBucket(t), nil)
	f, receipts := uploaded(t, b, "a", testutil.Content(minPart+10))
	_, err := f.Finish(t.Context(), receipts, nil)
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorContains(t, err, "AccessDenied")
}

// Another program has cancelled the upload: nothing tells that from a finish that
// a proxy sent twice.
func TestFinish_IsUnknownIfTheUploadIsGone(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	f, receipts := uploaded(t, b, "a", testutil.Content(minPart+10))
	again, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}, f.Info().ID)
	require.NoError(t, err)
	require.NoError(t, again.Cancel(t.Context()))
	_, err = f.Finish(t.Context(), receipts, nil)
	require.ErrorContains(t, err, "NoSuchUpload")
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
}

// Once the request is out, the end of the context does not lose the answer.
func TestFinishOutlivesItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newProxy(t, false, &fault{
		calls: "CompleteMultipartUpload", times: 1,
		strike: func(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
			cancel()
			select {
			case <-r.Context().Done():
				t.Error("the client hung up")
			case <-time.After(10 * time.Millisecond):
			}
			pass.ServeHTTP(w, r)
		},
	})
	b := newBackend(t, p.URL, newBucket(t), nil)
	data := testutil.Content(minPart + 10)
	f, receipts := uploaded(t, b, "a", data)
	_, err := f.Finish(ctx, receipts, nil)
	require.NoError(t, err)
	got, _ := contents(t, b, "a")
	require.True(t, bytes.Equal(data, got))
}

func TestCancelWaitsForNoFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	p := newProxy(t, false, &fault{
		calls: "CompleteMultipartUpload", times: 1,
		strike: func(_ *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
			close(entered)
			<-leave
			pass.ServeHTTP(w, r)
		},
	})
	b := newBackend(t, p.URL, newBucket(t), nil)
	f, receipts := uploaded(t, b, "a", testutil.Content(minPart+10))
	done := make(chan error)
	go func() {
		_, err := f.Finish(t.Context(), receipts, nil)
		done <- err
	}()
	<-entered
	require.ErrorContains(t, f.Cancel(t.Context()), "is being finished")
	require.Zero(t, p.count("AbortMultipartUpload"))
	close(leave)
	require.NoError(t, <-done)
}

// Outcomes of a single upload that never gets an answer.
func TestSingleUploadWithoutAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name    string
		strike  strike
		options FileOptions
		known   bool
	}{
		{"done", lose, FileOptions{}, true},
		{"done, answered by Cloudflare", loseTo(524), FileOptions{}, true},
		{"done, without a tag", lose, FileOptions{OmitSluiceID: true}, true},
		{"done, where there was no file", lose, FileOptions{CreateOnly: true}, true},
		{"done, for one that may be another's", lose, FileOptions{CreateOnly: true, OmitSluiceID: true}, false},
		{"never arrived", drop, FileOptions{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, false, &fault{calls: "PutObject", strike: c.strike})
			b := newBackend(t, p.URL, newBucket(t), nil)
			file, err := stream(t.Context(), b.With(c.options), "a", []byte("data"))
			if !c.known {
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				return
			}
			require.NoError(t, err)
			got, header := contents(t, b, "a")
			require.Equal(t, "data", string(got))
			require.Equal(t, header.Get("Etag"), `"`+file.ID+`"`)
		})
	}
}
