package s3backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/engines"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// passing are faults that go away: a stream that meets one of them ends well.
var passing = map[string]func(*testing.T, http.ResponseWriter, *http.Request, http.Handler){
	"SlowDown":           answer(http.StatusServiceUnavailable, "SlowDown"),
	"refused early":      refuse(http.StatusServiceUnavailable, "SlowDown"),
	"InternalError":      answer(http.StatusInternalServerError, "InternalError"),
	"429":                answer(http.StatusTooManyRequests, "TooManyRequests"),
	"RequestTimeout":     answer(http.StatusBadRequest, "RequestTimeout"),
	"502 of a gateway":   answer(http.StatusBadGateway, ""),
	"200 with an error":  answer(http.StatusOK, "InternalError"),
	"reset in the body":  reset,
	"request dropped":    drop,
	"answer lost":        lose,
	"answer cut":         cut,
	"bytes were changed": answer(http.StatusBadRequest, "XAmzContentSHA256Mismatch"),
}

// Every request of a stream, in turn, meets every fault that passes.
func TestEveryPassingFaultIsOvercome(t *testing.T) {
	data := testutil.Content(minPart + 100)
	for name, strike := range passing {
		t.Run(name, func(t *testing.T) {
			for size, calls := range map[int]int{100: 1, len(data): 4} {
				for n := 1; n <= calls; n++ {
					f := &fault{from: n, times: 1, strike: strike}
					p := newProxy(t, false, f)
					b := newBackend(t, p.URL, newBucket(t), nil)
					file, err := stream(t.Context(), b, "a", data[:size])
					require.NoError(t, err, "request %d of %v", n, p.calls())
					require.Equal(t, 1, p.faults.All()[0].Fired, "the fault did not happen: %v", p.calls())
					got, header := contents(t, b, "a")
					require.True(t, bytes.Equal(data[:size], got), "other bytes")
					require.Contains(t, header.Get("Etag"), file.ID)
					// Whose start was lost cannot be told; see StartLargeFile.
					lost := 0
					if n == 1 && size > minPart && (name == "answer lost" || name == "answer cut") {
						lost = 1
					}
					require.Len(t, leftovers(t, b), lost)
				}
			}
		})
	}
}

// Every request of a stream, in turn, is refused for good.
func TestEveryRefusalSurfacesAndLeavesNothing(t *testing.T) {
	data := testutil.Content(minPart + 100)
	for size, calls := range map[int][]string{
		100:       {"PutObject"},
		len(data): {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"},
	} {
		for _, call := range calls {
			t.Run(call, func(t *testing.T) {
				p := newProxy(t, false, &fault{calls: call, strike: answer(http.StatusForbidden, "AccessDenied")})
				b := newBackend(t, p.URL, newBucket(t), nil)
				_, err := stream(t.Context(), b, "a", data[:size])
				require.ErrorAs(t, err, new(*Error))
				require.ErrorContains(t, err, call+": 403 AccessDenied: by the proxy (request R1)")
				requireAbsent(t, b, "a")
				require.Empty(t, leftovers(t, b))
				require.LessOrEqual(t, p.count(call), 2, "a refusal is not tried again: %v", p.calls())
			})
		}
	}
}

// A store that answers before it has read the part: the call returns with the pages at rest.
func TestEarlyRefusalLetsGoOfThePages(t *testing.T) {
	p := newProxy(t, false, &fault{calls: "UploadPart", strike: func(t *testing.T, w http.ResponseWriter, r *http.Request, pass http.Handler) {
		w.Header().Set("Content-Length", fmt.Sprint(len(fmt.Sprintf(xmlError, "SlowDown"))))
		refuse(http.StatusServiceUnavailable, "SlowDown")(t, w, r, pass)
		_ = http.NewResponseController(w).Flush()
		<-t.Context().Done() // closing the connection could reset it under the answer
	}})
	b := newBackend(t, p.URL, newBucket(t), nil)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	data := testutil.Content(32 << 20)
	_, err = f.UploadPart(t.Context(), part(1, data))
	require.ErrorContains(t, err, "SlowDown")
	require.Equal(t, quick.Attempts, p.count("UploadPart"))
	for i := range data {
		data[i] = 'x' // a race, if the transport still reads
	}
	require.NoError(t, f.Cancel(t.Context()))
}

func TestRetriesAreReported(t *testing.T) {
	p := newProxy(t, false, &fault{calls: "UploadPart", times: 2, strike: answer(http.StatusServiceUnavailable, "SlowDown")})
	b := newBackend(t, p.URL, newBucket(t), nil)
	w, err := sluice.New(t.Context(), b, "a", &sluice.Options{PartSize: minPart})
	require.NoError(t, err)
	_, err = w.Write(testutil.Content(minPart + 1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.EqualValues(t, 2, w.Stats().Retries)
}

// The start of an upload is answered into the void: no other upload is touched,
// and the log says so.
func TestLostStartIsWarnedOf(t *testing.T) {
	p := newProxy(t, false, &fault{calls: "CreateMultipartUpload", times: 1, strike: lose})
	var log bytes.Buffer
	b := newBackend(t, p.URL, newBucket(t), &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	require.Contains(t, log.String(), "an unfinished upload may be left")
	require.Len(t, leftovers(t, b), 2)
	require.NoError(t, f.Cancel(t.Context()))
	require.Len(t, leftovers(t, b), 1)
	require.Zero(t, p.count("HeadObject"))
}

// A start that fails for good after an answer was lost says that an upload may be left.
func TestLostStartThatFailsSaysWhatMayBeLeft(t *testing.T) {
	for name, c := range map[string]struct {
		strike strike
		left   bool
	}{"lost": {lose, true}, "refused": {answer(http.StatusForbidden, "AccessDenied"), false}} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, false,
				&fault{calls: "CreateMultipartUpload", times: 1, strike: c.strike},
				&fault{calls: "CreateMultipartUpload", strike: answer(http.StatusForbidden, "AccessDenied")})
			b := newBackend(t, p.URL, newBucket(t), nil)
			_, err := stream(t.Context(), b, "a", testutil.Content(minPart+100))
			require.ErrorContains(t, err, "AccessDenied")
			require.Equal(t, c.left, errors.Is(err, sluice.ErrLeftBehind))
			require.Equal(t, c.left, len(leftovers(t, b)) == 1)
		})
	}
}

// A part whose request was given up may arrive after the upload was cancelled, and keep it alive.
func TestCancelLooksWhetherTheUploadIsGone(t *testing.T) {
	p := newProxy(t, false, &fault{calls: "AbortMultipartUpload", times: 1, strike: answer(http.StatusNoContent, "")})
	b := newBackend(t, p.URL, newBucket(t), nil)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	require.NoError(t, f.Cancel(t.Context()))
	require.Equal(t, 2, p.count("AbortMultipartUpload"))
	require.Empty(t, leftovers(t, b))
	require.NoError(t, f.Cancel(t.Context()))
	require.Equal(t, 2, p.count("AbortMultipartUpload"), "a repeat asks nobody")
}

// Without the permission to look whether the upload is gone it is cancelled all
// the same.
func TestCancelWithoutThePermissionToLook(t *testing.T) {
	for status, code := range map[int]string{http.StatusForbidden: "AccessDenied", http.StatusNotImplemented: "NotImplemented"} {
		p := newProxy(t, false, &fault{calls: "ListParts", strike: answer(status, code)})
		b := newBackend(t, p.URL, newBucket(t), nil)
		f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		require.NoError(t, err)
		require.NoError(t, f.Cancel(t.Context()))
		require.Empty(t, leftovers(t, b))
	}
}

// issuer issues credentials, new ones each time.
type issuer struct {
	issued atomic.Int64
	fails  map[int64]bool // the times at which it does not
}

func (i *issuer) Retrieve(context.Context) (aws.Credentials, error) {
	if n := i.issued.Add(1); i.fails[n] {
		return aws.Credentials{}, errors.New("the issuer is away")
	}
	return aws.Credentials{
		AccessKeyID: engines.AccessKey, SecretAccessKey: engines.SecretKey,
		CanExpire: true, Expires: time.Now().Add(time.Hour),
	}, nil
}

func TestExpiredCredentialsAreFetchedAnewOnce(t *testing.T) {
	expired := answer(http.StatusBadRequest, "ExpiredToken")
	for times, calls := range map[int]int{1: 2, 0: 2} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			p := newProxy(t, false, &fault{calls: "PutObject", times: times, strike: expired})
			keys := new(issuer)
			b, err := New(t.Context(), newBucket(t), &Options{
				Endpoint: p.URL, Region: engines.Region, Credentials: NewCredentials(keys), Retry: quick,
			})
			require.NoError(t, err)
			_, err = stream(t.Context(), b, "a", []byte("x"))
			if times == 0 {
				require.ErrorContains(t, err, "ExpiredToken")
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, calls, p.count("PutObject"))
			require.EqualValues(t, 2, keys.issued.Load())
		})
	}
}

func TestAnIssuerOfCredentialsMayBeAwayOnceItHasBeenThere(t *testing.T) {
	for _, c := range []struct {
		fails map[int64]bool
		text  string
	}{
		{map[int64]bool{2: true, 3: true}, ""},
		{map[int64]bool{1: true}, "CreateMultipartUpload: credentials: the issuer is away"},
	} {
		keys := &issuer{fails: c.fails}
		b, err := New(t.Context(), newBucket(t), &Options{
			Endpoint: server.URL, Region: engines.Region, Credentials: NewCredentials(aws.CredentialsProviderFunc(keys.Retrieve)), Retry: quick,
		})
		require.NoError(t, err)
		b.client.credentials = keys // with no cache before it
		_, err = stream(t.Context(), b, "a", testutil.Content(minPart+1))
		if c.text == "" {
			require.NoError(t, err)
			require.Greater(t, keys.issued.Load(), int64(3))
			continue
		}
		require.ErrorContains(t, err, c.text)
		require.EqualValues(t, 1, keys.issued.Load())
	}
}

func TestCreateOnlyTriesAgainAfterAConflict(t *testing.T) {
	conflict := answer(http.StatusConflict, "ConditionalRequestConflict")
	p := newProxy(t, false, &fault{calls: "PutObject", times: 2, strike: conflict},
		&fault{calls: "CompleteMultipartUpload", times: 1, strike: conflict})
	b := newBackend(t, p.URL, newBucket(t), nil).With(FileOptions{CreateOnly: true})
	_, err := stream(t.Context(), b, "single", []byte("data"))
	require.NoError(t, err)
	require.Equal(t, 3, p.count("PutObject"))
	_, err = stream(t.Context(), b, "large", testutil.Content(minPart+1))
	require.ErrorContains(t, err, "ConditionalRequestConflict", "its parts would have to be sent again")
	require.Equal(t, 1, p.count("CompleteMultipartUpload"))
}

func TestCreateOnly(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil).With(FileOptions{CreateOnly: true})
	data := testutil.Content(minPart + 1)
	for _, size := range []int{10, len(data)} {
		name := fmt.Sprint(size)
		_, err := stream(t.Context(), b, name, data[:size])
		require.NoError(t, err)
		_, err = stream(t.Context(), b, name, bytes.Repeat([]byte("x"), size))
		require.ErrorIs(t, err, fs.ErrExist)
		got, _ := contents(t, b, name)
		require.True(t, bytes.Equal(data[:size], got), "it was replaced")
		require.Empty(t, leftovers(t, b))
	}
}
