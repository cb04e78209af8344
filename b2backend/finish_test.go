package b2backend_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/exchange"
)

// limitedKeys are keys for the server's bucket: what they may do, and how they look up a finish.
var limitedKeys = map[string]struct {
	capabilities []string
	look         string
}{
	"everything":           {nil, "b2_get_file_info"},
	"writeFiles,readFiles": {[]string{"writeFiles", "readFiles"}, "b2_get_file_info"},
	"writeFiles,listFiles": {[]string{"writeFiles", "listFiles"}, "b2_list_file_versions"},
	"writeFiles":           {[]string{"writeFiles"}, "b2_list_parts"},
}

func limitedKey(t *testing.T, s *b2test.Server, capabilities []string) b2backend.Credentials {
	return newKey(t, s, b2test.Key{Capabilities: capabilities, Buckets: []string{s.Bucket()}})
}

// twoParts begins a large file and uploads two parts.
func twoParts(t *testing.T, b *b2backend.Backend, name string) (*b2backend.LargeFile, []sluice.Receipt, []byte) {
	f := start(t, b, name)
	data := content(2*minPart - 1)
	return f, []sluice.Receipt{put(t, f, 1, data[:minPart]), put(t, f, 2, data[minPart:])}, data
}

// whenSending returns a transport that calls do before it sends the call, the first time.
func whenSending(t *testing.T, call string, do func()) http.RoundTripper {
	return whenSendingSuch(t, func(req *http.Request) bool { return path.Base(req.URL.Path) == call }, do)
}

func whenSendingSuch(t *testing.T, is func(*http.Request) bool, do func()) http.RoundTripper {
	rt := exchange.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	var once sync.Once
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if is(req) {
			once.Do(do)
		}
		return rt.RoundTrip(req)
	})
}

func TestALostFinishIsSettledWithEveryKindOfKey(t *testing.T) {
	for name, key := range limitedKeys {
		for _, fault := range []b2test.Fault{
			{Kind: b2test.LoseAnswer},              // done
			{Kind: b2test.Drop},                    // not done
			{Kind: b2test.LoseAnswer, Status: 504}, // done
			{Kind: b2test.Refuse, Status: 502},     // not done
			{Kind: b2test.Garbage},                 // done
		} {
			t.Run(name+" "+describe(fault), func(t *testing.T) {
				s := newServer(t, nil)
				b := dialAs(t, s, limitedKey(t, s, key.capabilities), nil)
				f, receipts, data := twoParts(t, b, "file")
				fault.Call = "b2_finish_large_file"
				inject(t, s, fault)
				file, err := f.Finish(t.Context(), receipts, nil)
				require.NoError(t, err)
				require.Equal(t, sluice.File{ID: f.Info().ID, Name: "file", Size: int64(len(data)), Parts: 2}, file)
				requireStored(t, s, "file", data)
				require.NotContains(t, calls(s), "cancel_large_file")
				require.Equal(t, 1, s.Count(key.look))
			})
		}
	}
}

func TestAFinishThatCannotBeSettledIsUnknownAndNeverCancelled(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f, receipts, data := twoParts(t, b, "file")
	inject(
		t, s,
		b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.LoseAnswer},
		b2test.Fault{Call: "b2_get_file_info", Kind: b2test.Drop, Count: -1},
		b2test.Fault{Call: "b2_list_file_versions", Kind: b2test.Drop, Count: -1},
		b2test.Fault{Call: "b2_list_parts", Kind: b2test.Drop, Count: -1},
	)
	_, err := f.Finish(t.Context(), receipts, nil)
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
	require.Equal(t, 1, s.Count("b2_finish_large_file"), "not repeated before it is settled")
	require.Zero(t, s.Count("b2_cancel_large_file"))

	s.ClearFaults()
	require.NoError(t, f.Cancel(t.Context()), "it turns out finished, and is left alone")
	require.Zero(t, s.Count("b2_cancel_large_file"))
	requireStored(t, s, "file", data)
}

// Somebody else cancels the large file. Where that can be told from a finish it is; a finish that was lost as well
// stays unknown.
func TestALargeFileThatSomebodyElseCancelledIsNotTakenToBeFinished(t *testing.T) {
	for name, key := range limitedKeys {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lost %v", name, lost), func(t *testing.T) {
				s := newServer(t, nil)
				b := dialAs(t, s, limitedKey(t, s, key.capabilities), nil)
				f, receipts, _ := twoParts(t, b, "file")
				other, err := dial(t, s).ResumeLargeFile(t.Context(), spec("file"), f.Info().ID)
				require.NoError(t, err)
				require.NoError(t, other.Cancel(t.Context()))
				if lost {
					inject(t, s, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop})
				}
				_, err = f.Finish(t.Context(), receipts, nil)
				switch {
				case !lost:
					require.ErrorContains(t, err, "b2_finish_large_file: 400 bad_request: No active upload for")
					require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
				case key.look != "b2_list_parts":
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				default:
					require.NoError(t, err, "documented: this key cannot tell, and nobody else is to cancel")
				}
				require.Empty(t, s.Files(s.Bucket()))
			})
		}
	}
}

// The caller's context ends while the answer to finish is under way, which is waited for.
func TestAFinishOutlivesItsContext(t *testing.T) {
	for name, fault := range map[string]b2test.Fault{
		"the answer comes late": {Kind: b2test.Wait, Delay: 30 * time.Millisecond},
		"the answer is lost":    {Kind: b2test.LoseAnswer, Delay: 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSending(t, "b2_finish_large_file", cancel)})
			f, receipts, data := twoParts(t, b, "file")
			fault.Call = "b2_finish_large_file"
			inject(t, s, fault)
			_, err := f.Finish(ctx, receipts, nil)
			require.NoError(t, err)
			requireStored(t, s, "file", data)
		})
	}
}

// The context ends while finish is under way, and it was not done: that is certain, and cancelling is in order.
func TestAFinishThatWasNotDoneAndWillNotBeRepeatedIsACertainFailure(t *testing.T) {
	s := newServer(t, nil)
	cause := errors.New("aborted")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSending(t, "b2_finish_large_file", func() { cancel(cause) })})
	f, receipts, _ := twoParts(t, b, "file")
	inject(t, s, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop, Count: -1})
	_, err := f.Finish(ctx, receipts, nil)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	require.Equal(t, 1, s.Count("b2_finish_large_file"))
	require.NoError(t, f.Cancel(t.Context()))
	require.Empty(t, s.Unfinished())
}

// slowly is a service where the first finish is answered by nothing, and is done after a time.
func slowly(done time.Duration) *fake {
	began := time.Now()
	finishes := 0
	return &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_finish_large_file": func(req *http.Request) (int, string) {
			if finishes++; finishes > 1 && time.Since(began) >= done {
				return http.StatusBadRequest, `{"code":"bad_request","message":"No active upload for: large"}`
			}
			<-req.Context().Done()
			return 0, "the client went"
		},
		"b2_get_file_info": func(*http.Request) (int, string) {
			if time.Since(began) < done {
				return http.StatusNotFound, `{"code":"not_found"}`
			}
			return http.StatusOK, `{"fileId":"large","action":"upload","contentLength":200}`
		},
		"b2_list_parts": func(*http.Request) (int, string) { return http.StatusOK, `{}` },
	}}
}

// finishSlowly finishes a large file of that service.
func finishSlowly(t *testing.T, ctx context.Context, f *fake, attempts int) (*b2backend.LargeFile, error) {
	b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: attempts}})
	require.NoError(t, err)
	large := start(t, b, "file")
	digests := part(1, content(100)).Digests
	_, err = large.Finish(ctx, []sluice.Receipt{{Number: 1, Size: 100, Digests: digests}, {Number: 2, Size: 100, Digests: digests}}, nil)
	return large, err
}

func TestAFinishStillAtWorkIsWaitedFor(t *testing.T) {
	for name, attempts := range map[string]int{"by another finish": 2, "by looking": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := slowly(20*time.Minute + 10*time.Second)
				_, err := finishSlowly(t, t.Context(), f, attempts)
				require.NoError(t, err)
			})
		})
	}
}

// A finish that was given up here may be done by the service at any later time.
func TestAnAbandonedFinishIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := slowly(24 * time.Hour)
		_, err := finishSlowly(t, t.Context(), f, 1)
		require.ErrorIs(t, err, sluice.ErrFinishUnknown)
		require.Equal(t, 20*time.Minute+15*time.Second, time.Since(began), "and looked at for a while")
		require.Zero(t, f.count("b2_cancel_large_file"))
	})
}

func TestAFinishOutlivesItsContextByABoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := slowly(24 * time.Hour)
		_, err := finishSlowly(t, ctx, f, 0)
		require.ErrorIs(t, err, sluice.ErrFinishUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second+time.Minute+15*time.Second, time.Since(began))
		require.Equal(t, 1, f.count("b2_finish_large_file"))
	})
}

func TestFinishRefusesReceiptsThatTheServiceWould(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f, receipts, _ := twoParts(t, b, "file")
	for want, bad := range map[string][]sluice.Receipt{
		"b2backend: 1 parts; a large file has at least 2":            receipts[:1],
		"b2backend: 0 parts; a large file has at least 2":            nil,
		"b2backend: receipt 1 is of part 2 with a SHA-1 of 20 bytes": {receipts[1], receipts[0]},
		"b2backend: receipt 2 is of part 2 with a SHA-1 of 0 bytes":  {receipts[0], {Number: 2, Size: 5}},
		"b2backend: receipt 2 is of part 3 with a SHA-1 of 20 bytes": {receipts[0], {Number: 3, Size: 5, Digests: receipts[0].Digests}},
	} {
		_, err := f.Finish(t.Context(), bad, nil)
		require.EqualError(t, err, want)
	}
	require.Zero(t, s.Count("b2_finish_large_file"))
	require.NoError(t, f.Cancel(t.Context()))
}

func TestARefusedFinishIsCertain(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	receipts := []sluice.Receipt{put(t, f, 1, content(minPart-1)), put(t, f, 2, content(minPart))}
	_, err := f.Finish(t.Context(), receipts, nil)
	require.EqualError(t, err, "b2_finish_large_file: 400 bad_request: Part number 1 is smaller than 100 bytes")
	require.Equal(t, 1, s.Count("b2_finish_large_file"))
	require.NoError(t, f.Cancel(t.Context()))
	require.Empty(t, s.Unfinished())
}

func TestFinishWithADoneContextDoesNothing(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f, receipts, _ := twoParts(t, b, "file")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Finish(ctx, receipts, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, s.Count("b2_finish_large_file"))
	require.NoError(t, f.Cancel(t.Context()))
}

func TestCancelIsIdempotentAndLeavesAFinishedFileAlone(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f, receipts, data := twoParts(t, b, "kept")
	_, err := f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	require.NoError(t, f.Cancel(t.Context()))
	requireStored(t, s, "kept", data)
	require.Zero(t, s.Count("b2_cancel_large_file"))

	f, receipts, _ = twoParts(t, b, "gone")
	require.NoError(t, f.Cancel(t.Context()))
	require.NoError(t, f.Cancel(t.Context()))
	require.Equal(t, 1, s.Count("b2_cancel_large_file"))
	_, err = f.UploadPart(t.Context(), part(1, content(minPart)))
	require.EqualError(t, err, "b2backend: large file "+f.Info().ID+" is cancelled")
	_, err = f.Finish(t.Context(), receipts, nil)
	require.ErrorContains(t, err, "is cancelled")

	again, err := b.StartLargeFile(t.Context(), spec("gone"))
	require.NoError(t, err)
	resumed, err := b.ResumeLargeFile(t.Context(), spec("gone"), again.Info().ID)
	require.NoError(t, err)
	require.NoError(t, again.Cancel(t.Context()))
	require.NoError(t, resumed.Cancel(t.Context()), "gone by another handle")
}
