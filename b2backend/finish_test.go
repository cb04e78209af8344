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
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// limitedKeys are keys for the server's bucket: what they may do, and the call
// by which they see a finished file.
var limitedKeys = map[string]struct {
	capabilities []string
	look         string
}{
	"everything":           {nil, "b2_get_file_info"},
	"writeFiles,readFiles": {[]string{"writeFiles", "readFiles"}, "b2_get_file_info"},
	"writeFiles,listFiles": {[]string{"writeFiles", "listFiles"}, "b2_list_file_versions"},
	"writeFiles":           {[]string{"writeFiles"}, ""},
}

func limitedKey(t *testing.T, s *b2test.Server, capabilities []string) b2backend.Credentials {
	return newKey(t, s, b2test.Key{Capabilities: capabilities, Buckets: []string{s.Bucket()}})
}

// twoParts begins a large file and uploads two parts.
func twoParts(t *testing.T, b *b2backend.Backend, name string) (*b2backend.LargeFile, []sluice.Receipt, []byte) {
	f := start(t, b, name)
	data := testutil.Content(2*minPart - 1)
	return f, []sluice.Receipt{put(t, f, 1, data[:minPart]), put(t, f, 2, data[minPart:])}, data
}

// whenSending returns a transport that calls do before it sends the call, the
// first time.
func whenSending(t *testing.T, call string, do func()) http.RoundTripper {
	return whenSendingSuch(t, func(req *http.Request) bool { return path.Base(req.URL.Path) == call }, do)
}

func whenSendingSuch(t *testing.T, is func(*http.Request) bool, do func()) http.RoundTripper {
	rt := httpx.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	var once sync.Once
	return testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
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
				requireStored(t, s, "file", data)
				require.NotContains(t, calls(s), "cancel_large_file")
				if key.look == "" && fault.Kind != b2test.Drop && fault.Kind != b2test.Refuse {
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					require.ErrorContains(t, err, "the key has neither readFiles nor listFiles")
					return
				}
				require.NoError(t, err)
				require.Equal(t, sluice.File{ID: f.Info().ID, Name: "file", Size: int64(len(data)), Parts: 2}, file)
				if key.look != "" {
					require.Equal(t, 1, s.Count(key.look))
				}
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
	require.Zero(t, s.Count("b2_cancel_large_file"))

	s.ClearFaults()
	require.NoError(t, f.Cancel(t.Context()), "it turns out finished, and is left alone")
	require.Zero(t, s.Count("b2_cancel_large_file"))
	requireStored(t, s, "file", data)
}

func TestFinish_TakesNoGatewaysAnswerForEvidence(t *testing.T) {
	for name, key := range limitedKeys {
		for _, status := range []int{400, 404} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				s := newServer(t, nil)
				b := dialAs(t, s, limitedKey(t, s, key.capabilities), nil)
				f, receipts, data := twoParts(t, b, "file")
				other, err := dial(t, s).ResumeLargeFile(t.Context(), spec("file"), f.Info().ID)
				require.NoError(t, err)
				inject(t, s, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.LoseAnswer})
				for _, call := range []string{"b2_get_file_info", "b2_list_file_versions", "b2_list_parts", "b2_cancel_large_file"} {
					inject(t, s, b2test.Fault{Call: call, Status: status, Message: "No active upload for x", Gateway: true, Count: -1})
				}
				_, err = f.Finish(t.Context(), receipts, nil)
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Error(t, other.Cancel(t.Context()), "it is not known to be gone")
				s.ClearFaults()
				require.NoError(t, other.Cancel(t.Context()))
				requireStored(t, s, "file", data)
			})
		}
	}
}

// A proxy lost the answer, sent the request again on its own, and passes on what
// the service answered to that, in any of its wordings.
func TestFinish_SeesThroughAProxyThatAsksTwice(t *testing.T) {
	for name, key := range limitedKeys {
		for _, second := range []b2test.Fault{
			{Status: 400, Message: "No active upload for: 4_z1"},
			{Status: 400, Message: "Bad fileId: 4_z1"},
			{Status: 400, Message: "Invalid file ID 4_z1"},
			{Status: 404, Message: "upload not found"},
			{Status: 409, Code: "conflict", Message: "already finished"},
		} {
			t.Run(fmt.Sprint(name, " ", second.Message), func(t *testing.T) {
				s := newServer(t, nil)
				b := dialAs(t, s, limitedKey(t, s, key.capabilities), nil)
				f, receipts, data := twoParts(t, b, "file")
				second.Call, second.Kind = "b2_finish_large_file", b2test.LoseAnswer
				inject(t, s, second)
				file, err := f.Finish(t.Context(), receipts, nil)
				requireStored(t, s, "file", data)
				if key.look == "" {
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
				} else {
					require.NoError(t, err)
					require.Equal(t, f.Info().ID, file.ID)
				}
				require.Zero(t, s.Count("b2_cancel_large_file"))
			})
		}
	}
}

// Another program cancels the large file: nothing tells that from a finish that
// a proxy sent twice, but for the file.
func TestFinish_IsUnknownIfTheLargeFileIsGone(t *testing.T) {
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
				require.ErrorContains(t, err, "b2_finish_large_file: 400 bad_request: No active upload for")
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Empty(t, s.Files(s.Bucket()))
			})
		}
	}
}

// The caller's context ends while the answer to finish is under way, which is
// waited for.
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

// The context ends while finish is under way, and no answer comes: it is not
// done yet, and may be at any moment.
func TestFinish_IsUnknownIfItsAnswerIsLostAndItIsNotRepeated(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectUnfinished("file")
	cause := errors.New("aborted")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSending(t, "b2_finish_large_file", func() { cancel(cause) })})
	f, receipts, _ := twoParts(t, b, "file")
	inject(t, s, b2test.Fault{Call: "b2_finish_large_file", Kind: b2test.Drop, Count: -1})
	_, err := f.Finish(ctx, receipts, nil)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.Equal(t, 1, s.Count("b2_finish_large_file"))
	require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
	require.Zero(t, s.Count("b2_cancel_large_file"))
}

// slowly is a service where the first finish is answered by nothing, and is
// done after a time.
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
			return http.StatusOK, `{"fileId":"large","fileName":"file","action":"upload","contentLength":200}`
		},
		"b2_list_file_versions": func(*http.Request) (int, string) { return http.StatusOK, `{"files":[]}` },
		"b2_list_parts":         func(*http.Request) (int, string) { return http.StatusOK, `{}` },
	}}
}

// finishSlowly finishes a large file of that service.
func finishSlowly(t *testing.T, ctx context.Context, f *fake, attempts int) (*b2backend.LargeFile, error) {
	return finishWith(t, ctx, f, &b2backend.Options{Retry: sluice.Retry{Attempts: attempts}})
}

func finishWith(t *testing.T, ctx context.Context, f *fake, o *b2backend.Options) (*b2backend.LargeFile, error) {
	b, err := dialFake(t, f, o)
	require.NoError(t, err)
	large := start(t, b, "file")
	digests := part(1, testutil.Content(100)).Digests
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

// A repeat was refused while the service was still at work on the first request
// (Backblaze/b2-sdk-java#41).
func TestFinish_IsSettledThoughARepeatIsRefusedBeforeItIsDone(t *testing.T) {
	for after, done := range map[time.Duration]bool{0: true, 8 * time.Second: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			f := slowly(after)
			finishes := 0
			f.answers["b2_finish_large_file"] = func(*http.Request) (int, string) {
				if finishes++; finishes == 1 {
					return http.StatusGatewayTimeout, ""
				}
				return http.StatusBadRequest, `{"code":"bad_request","message":"No active upload for: large"}`
			}
			large, err := finishSlowly(t, t.Context(), f, 3)
			if done {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, sluice.ErrFinishUnknown)
			require.ErrorIs(t, large.Cancel(t.Context()), sluice.ErrFinishUnknown)
			require.Zero(t, f.count("b2_cancel_large_file"))
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
	receipts := []sluice.Receipt{put(t, f, 1, testutil.Content(minPart-1)), put(t, f, 2, testutil.Content(minPart))}
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
	_, err = f.UploadPart(t.Context(), part(1, testutil.Content(minPart)))
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
