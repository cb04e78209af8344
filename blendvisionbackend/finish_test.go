package blendvisionbackend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

func TestFinishMakesTheFile(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f, receipts, digests := w.ready([]byte("hello world"))
		file, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err)
		s := w.session()
		require.Equal(w, sluice.File{ID: s.FileID, Name: "talk.mp4", Size: 11, Parts: 1}, file)
		require.Equal(w, s.FileID+"/"+s.UploadID, f.Info().ID)
		_, err = f.Finish(w.Context(), receipts, digests)
		require.EqualError(w, err, "blendvisionbackend: upload "+f.Info().ID+" is finished")
		require.NoError(w, f.Cancel(w.Context()), "leaves the file alone")
		require.NoError(w, w.server.Check())
	})
}

func TestNothingIsCancelledWhileAFinishIsUnderWay(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f, receipts, digests := w.ready([]byte("hello world"))
		var cancelled error
		w.inject(bvtest.Fault{
			Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer, Fired: func() { cancelled = f.Cancel(w.Context()) },
		})
		_, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err, "it was found")
		require.EqualError(w, cancelled, "blendvisionbackend: upload "+f.Info().ID+" is being finished")
		require.NoError(w, w.server.Check())
	})
}

func TestFinishRefusesWhatCannotBeComplete(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f, receipts, digests := w.ready([]byte("x"))
		for text, v := range map[string]struct {
			parts []sluice.Receipt
			whole sluice.Digests
		}{
			"the SHA-1 of the whole file has 0 bytes, not 20": {receipts, nil},
			"the SHA-1 of the whole file has 2 bytes, not 20": {receipts, sluice.Digests{{Name: "sha1", Sum: []byte("ab")}}},
			"0 receipts for 1 planned parts":                  {nil, digests},
			`receipt 1 is of part 2 with ETag "t"`:            {[]sluice.Receipt{{Number: 2, ETag: "t"}}, digests},
			`receipt 1 is of part 1 with ETag ""`:             {[]sluice.Receipt{{Number: 1}}, digests},
		} {
			_, err := f.Finish(w.Context(), v.parts, v.whole)
			require.EqualError(w, err, "blendvisionbackend: "+text)
		}
		_, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err, "nothing was sent before")
		require.NoError(w, w.server.Check())
	})
}

// What is lost on the way back is settled by asking for the file; what is lost
// on the way there is sent again.
func TestLostAnswerToFinishIsSettled(t *testing.T) {
	for name, faults := range map[string][]bvtest.Fault{
		"connection closed, done":     {{Kind: bvtest.LoseAnswer}},
		"connection closed, not done": {{Kind: bvtest.Drop}},
		"answer cut":                  {{Kind: bvtest.Truncate}},
		"answer unreadable":           {{Kind: bvtest.Garbage}},
		"504, done":                   {{Kind: bvtest.LoseAnswer, Status: 504}},
		"500, done":                   {{Kind: bvtest.LoseAnswer, Status: 500}},
		"502, done":                   {{Kind: bvtest.LoseAnswer, Status: 502}},
		"408, done":                   {{Kind: bvtest.LoseAnswer, Status: 408}},
		"499, done":                   {{Kind: bvtest.LoseAnswer, Status: 499}},
		"503, not done":               {{Kind: bvtest.Refuse}},
		"no answer":                   {{Kind: bvtest.Stall}},
		"not read":                    {{Kind: bvtest.StallEarly}},
		"and the next one too":        {{Kind: bvtest.Drop}, {Kind: bvtest.LoseAnswer}},
		"the file asked for in vain": {
			{Kind: bvtest.LoseAnswer},
			{Call: bvtest.CallDownload, Kind: bvtest.Drop},
			{Call: bvtest.CallDownload, Kind: bvtest.Garbage},
			{Call: bvtest.CallDownload, Kind: bvtest.Refuse, Status: 429},
		},
		"the file not found at first": {
			{Kind: bvtest.LoseAnswer}, {Call: bvtest.CallDownload, Kind: bvtest.Refuse, Status: 404},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				for _, fault := range faults {
					if fault.Call == "" {
						fault.Call = bvtest.CallComplete
					}
					w.inject(fault)
				}
				f, receipts, digests := w.ready([]byte("x"))
				file, err := f.Finish(w.Context(), receipts, digests)
				require.NoError(w, err)
				content, ok := w.server.Content(file.ID)
				require.True(w, ok)
				require.Equal(w, "x", string(content))
				require.NoError(w, f.Cancel(w.Context()))
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestRefusedFinishLeavesTheUploadToBeCancelled(t *testing.T) {
	for _, status := range []int{302, 400, 401, 403, 429} {
		inWorld(t, nil, func(w world) {
			w.inject(bvtest.Fault{Call: bvtest.CallComplete, Count: -1, Kind: bvtest.Refuse, Status: status})
			f, receipts, digests := w.ready([]byte("x"))
			_, err := f.Finish(w.Context(), receipts, digests)
			var refused *blendvisionbackend.Error
			require.ErrorAs(w, err, &refused)
			require.Equal(w, status, refused.Status)
			require.NotErrorIs(w, err, sluice.ErrFinishUnknown)
			require.NoError(w, f.Cancel(w.Context()))
			require.Equal(w, bvtest.Cancelled, w.session().State)
			require.NoError(w, w.server.Check())
		})
	}
}

// The service refuses a finish as if another one were done or under way, and shows
// no file. If a proxy sent it twice, the first one can be at work for long.
func TestFinish_IsUnknownIfAnotherOneMayBeAtWork(t *testing.T) {
	for _, status := range []int{404, 409} {
		for _, late := range []bool{false, true} {
			inWorld(t, nil, func(w world) {
				w.inject(bvtest.Fault{Call: bvtest.CallComplete, Count: -1, Kind: bvtest.Refuse, Status: status})
				f, receipts, digests := w.ready([]byte("x"))
				_, err := f.Finish(w.Context(), receipts, digests)
				require.ErrorIs(w, err, sluice.ErrFinishUnknown)
				if late {
					time.Sleep(time.Hour)
				}
				require.ErrorIs(w, f.Cancel(w.Context()), sluice.ErrFinishUnknown)
				require.Equal(w, bvtest.Open, w.session().State)
				require.ErrorContains(w, w.server.Check(), "neither completed nor cancelled")
			})
		}
	}
}

// A proxy lost the answer, sent the request again on its own, and passes on what
// the service answered to that, whatever its code.
func TestFinish_SeesThroughAProxyThatAsksTwice(t *testing.T) {
	for _, status := range []int{400, 404, 409} {
		for name, look := range map[string]bvtest.Fault{
			"found":          {},
			"found later":    {Call: bvtest.CallDownload, Status: 404, Count: 3},
			"not to be seen": {Call: bvtest.CallDownload, Status: 403, Count: -1},
		} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				inWorld(t, nil, func(w world) {
					w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer, Status: status})
					if look.Call != "" {
						w.inject(look)
					}
					f, receipts, digests := w.ready([]byte("x"))
					_, err := f.Finish(w.Context(), receipts, digests)
					require.Equal(w, bvtest.Completed, w.session().State)
					if look.Count < 0 {
						require.ErrorIs(w, err, sluice.ErrFinishUnknown)
						require.ErrorIs(w, f.Cancel(w.Context()), sluice.ErrFinishUnknown)
					} else {
						require.NoError(w, err)
					}
					require.NoError(w, w.server.Check())
				})
			})
		}
	}
}

func TestWrongChecksumIsTheServersToRefuse(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f, receipts, _ := w.ready([]byte("x"))
		_, err := f.Finish(w.Context(), receipts, sums([]byte("y")))
		require.ErrorContains(w, err, "complete-upload: 400 INVALID_ARGUMENT: checksum_sha1 ")
		require.NoError(w, f.Cancel(w.Context()))
		require.NoError(w, w.server.Check())
	})
}

func TestUnknownOutcomeIsNeverCancelled(t *testing.T) {
	for name, lookup := range map[string]bvtest.Fault{
		"the file cannot be asked for": {Kind: bvtest.Refuse, Status: 503},
		"the file is not found":        {Kind: bvtest.Refuse, Status: 404},
		"asking is not allowed":        {Kind: bvtest.Refuse, Status: 403},
		"the answer is unreadable":     {Kind: bvtest.Garbage},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				lookup.Call, lookup.Count = bvtest.CallDownload, -1
				w.inject(lookup)
				w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer})
				f, receipts, digests := w.ready([]byte("x"))
				_, err := f.Finish(w.Context(), receipts, digests)
				require.ErrorIs(w, err, sluice.ErrFinishUnknown)
				require.ErrorContains(w, err, "upload "+f.Info().ID)

				require.ErrorIs(w, f.Cancel(w.Context()), sluice.ErrFinishUnknown)
				require.Equal(w, bvtest.Completed, w.session().State)
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestLookUpMustNameTheFileAndWhereItIs(t *testing.T) {
	for body, found := range map[string]bool{
		`{"id": "library-id", "download_uri": "https://objects.example/a"}`: true,
		`{"id": "another", "download_uri": "https://objects.example/a"}`:    false,
		`{"id": "library-id"}`: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := over(t, func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "files:upload"):
					return reply(200, openAnswer("library-id")), nil
				case strings.HasSuffix(r.URL.Path, ":download"):
					return reply(200, body), nil
				case r.Method == http.MethodGet:
					return firstByte(1), nil
				}
				return nil, io.ErrUnexpectedEOF
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: "e"}}, sums([]byte("x")))
			require.Equal(t, found, err == nil)
			require.Equal(t, !found, errors.Is(err, sluice.ErrFinishUnknown))
		})
	}
}

// firstByte is the object store's answer for the first byte of so many.
func firstByte(total int64) *http.Response {
	resp := reply(206, "x")
	resp.ContentLength = 1
	resp.Header = http.Header{"Etag": {`"e"`}, "Content-Range": {fmt.Sprintf("bytes 0-0/%d", total)}}
	return resp
}

// That the download call knows the file does not make it whole.
func TestFinish_LooksForBytes(t *testing.T) {
	whole := reply(200, "data")
	whole.ContentLength, whole.Header = 4, http.Header{"Etag": {`"e"`}}
	for name, c := range map[string]struct {
		bytes *http.Response
		found bool
		says  string
	}{
		"all of them":      {firstByte(4), true, ""},
		"and no range":     {whole, true, ""},
		"fewer":            {firstByte(3), false, "3 bytes stored of 4"},
		"more":             {firstByte(5), false, "5 bytes stored of 4"},
		"none":             {reply(404, "<Error><Code>NoSuchKey</Code></Error>"), false, "404 NoSuchKey"},
		"not to be read":   {reply(403, "<Error><Code>AccessDenied</Code></Error>"), false, "403 AccessDenied"},
		"a gateway's page": {reply(200, "<html></html>"), false, "no ETag"},
	} {
		for _, answer := range []*http.Response{nil, reply(409, `{"code": 10, "message": "it is complete"}`)} {
			t.Run(fmt.Sprint(name, " ", answer != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := over(t, func(r *http.Request) (*http.Response, error) {
						switch {
						case strings.HasSuffix(r.URL.Path, "files:upload"):
							return reply(200, openAnswer("library-id")), nil
						case strings.HasSuffix(r.URL.Path, ":download"):
							return reply(200, `{"id": "library-id", "download_uri": "https://objects.example/a"}`), nil
						case r.Method == http.MethodGet:
							again := *c.bytes
							body, err := io.ReadAll(c.bytes.Body)
							c.bytes.Body, again.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
							return &again, err
						case answer != nil:
							return answer, nil
						}
						return nil, io.ErrUnexpectedEOF
					})
					f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4})
					require.NoError(t, err)
					_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: "e"}}, sums([]byte("data")))
					if c.found {
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					require.ErrorContains(t, err, c.says)
				})
			})
		}
	}
}

// A status of 500 and above leaves open what becomes of the request, also with a
// code that would be a refusal under another status.
func TestFinish_IsUnknownAfterAServerErrorOfAnyCode(t *testing.T) {
	for _, status := range []int{408, 499, 500, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			b := over(t, func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "files:upload"):
					return reply(200, openAnswer("library-id")), nil
				case strings.HasSuffix(r.URL.Path, ":download"):
					return reply(404, `{"code": 5, "message": "not found"}`), nil
				}
				return reply(status, `{"code": 10, "message": "aborted"}`), nil
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4})
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: "e"}}, sums([]byte("data")))
			require.ErrorIs(t, err, sluice.ErrFinishUnknown)
		})
	}
}

func TestCompleteMayTakeTwentyMinutes(t *testing.T) {
	for took, asked := range map[time.Duration]bool{19 * time.Minute: false, 21 * time.Minute: true} {
		synctest.Test(t, func(t *testing.T) {
			lookedUp := false
			b := over(t, func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.HasSuffix(r.URL.Path, "files:upload"):
					return reply(200, openAnswer("library-id")), nil
				case strings.HasSuffix(r.URL.Path, ":download"):
					lookedUp = true
					return reply(200, `{"id": "library-id", "download_uri": "https://objects.example/a"}`), nil
				case r.Method == http.MethodGet:
					return firstByte(1), nil
				}
				select {
				case <-time.After(took):
					return reply(200, `{"file": {"id": "library-id"}}`), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: "e"}}, sums([]byte("x")))
			require.NoError(t, err)
			require.Equal(t, asked, lookedUp)
		})
	}
}

func TestNothingIsFinishedOnceTheContextIsDone(t *testing.T) {
	inWorld(t, nil, func(w world) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(w.Context())
		cancel(why)
		f, receipts, digests := w.ready([]byte("x"))
		_, err := f.Finish(ctx, receipts, digests)
		require.ErrorIs(w, err, context.Canceled)
		require.ErrorIs(w, err, why)
		require.Equal(w, bvtest.Open, w.session().State)
		require.NoError(w, f.Cancel(w.Context()))
		require.NoError(w, w.server.Check())
	})
}

func TestContextEndsOnlyTheRetriesOfFinish(t *testing.T) {
	t.Run("a request under way gets its answer", func(t *testing.T) {
		inWorld(t, nil, func(w world) {
			ctx, cancel := context.WithCancel(w.Context())
			// Fired comes before the call is carried out; a lost 504 is an
			// answer that says nothing.
			w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer, Status: 504, Fired: cancel})
			f, receipts, digests := w.ready([]byte("x"))
			_, err := f.Finish(ctx, receipts, digests)
			require.NoError(w, err)
			require.Equal(w, bvtest.Completed, w.session().State)
			require.NoError(w, w.server.Check())
		})
	})
	t.Run("a refusal is certain", func(t *testing.T) {
		inWorld(t, nil, func(w world) {
			ctx, cancel := context.WithCancel(w.Context())
			w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.Refuse, Status: 429, Fired: cancel})
			f, receipts, digests := w.ready([]byte("x"))
			began := time.Now()
			_, err := f.Finish(ctx, receipts, digests)
			require.ErrorIs(w, err, context.Canceled)
			require.NotErrorIs(w, err, sluice.ErrFinishUnknown)
			require.Zero(w, time.Since(began))
			require.NoError(w, f.Cancel(w.Context()))
			require.NoError(w, w.server.Check())
		})
	})
	t.Run("silence is bounded", func(t *testing.T) {
		inWorld(t, nil, func(w world) {
			ctx, cancel := context.WithCancel(w.Context())
			w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.Stall, Fired: cancel})
			w.inject(bvtest.Fault{Call: bvtest.CallDownload, Count: -1, Kind: bvtest.Stall})
			f, receipts, digests := w.ready([]byte("x"))
			began := time.Now()
			_, err := f.Finish(ctx, receipts, digests)
			require.ErrorIs(w, err, sluice.ErrFinishUnknown)
			require.ErrorIs(w, err, context.Canceled)
			require.Equal(w, 2*time.Minute, time.Since(began), "one for the request, one for the question")
		})
	})
}

func TestFinishThatNeverLeavesIsCertain(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f, receipts, digests := w.ready([]byte("x"))
		w.server.Close()
		synctest.Wait() // until the client has seen that its connections are closed
		_, err := f.Finish(w.Context(), receipts, digests)
		require.ErrorContains(w, err, "dial")
		require.NotErrorIs(w, err, sluice.ErrFinishUnknown)
	})
}

func TestCancelMayBeRepeated(t *testing.T) {
	inWorld(t, nil, func(w world) {
		calls := 0
		w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.LoseAnswer, Fired: func() { calls++ }})
		f := w.start(1)
		require.NoError(w, f.Cancel(w.Context()), "the repeat that follows the lost answer finds nothing")
		require.NoError(w, f.Cancel(w.Context()))
		require.Equal(w, 1, calls)
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

// A gateway does not know what became of the session: the call is repeated.
func TestCancel_OutlastsAnswersOfGateways(t *testing.T) {
	for _, status := range []int{408, 500, 502, 503, 504, 520} {
		for _, kind := range []bvtest.FaultKind{bvtest.Refuse, bvtest.LoseAnswer} {
			t.Run(fmt.Sprint(status, kind), func(t *testing.T) {
				inWorld(t, nil, func(w world) {
					answers := 0
					w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: kind, Status: status, Fired: func() { answers++ }})
					require.NoError(w, w.start(1).Cancel(w.Context()))
					require.Equal(w, 1, answers)
					require.Equal(w, bvtest.Cancelled, w.session().State)
					require.NoError(w, w.server.Check())
				})
			})
		}
	}
}

func TestCancelThatFailsMayBeTriedAgain(t *testing.T) {
	inWorld(t, nil, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallCancel, Kind: bvtest.Refuse, Status: 403})
		f := w.start(1)
		var refused *blendvisionbackend.Error
		require.ErrorAs(w, f.Cancel(w.Context()), &refused)
		require.Equal(w, "PERMISSION_DENIED", refused.Code)
		require.NoError(w, f.Cancel(w.Context()))
		require.NoError(w, w.server.Check())
	})
}

// A page of something on the way says nothing about the session.
func TestOnlyTheServiceSaysThatNothingIsLeftToCancel(t *testing.T) {
	for body, gone := range map[string]bool{
		`{"code": 5, "message": "not found", "details": []}`: true,
		`<html>404 Not Found</html>`:                         false,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := over(t, func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "files:upload") {
					return reply(200, openAnswer("library-id")), nil
				}
				return reply(404, body), nil
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.NoError(t, err)
			require.Equal(t, gone, f.Cancel(t.Context()) == nil)
		})
	}
}

func TestFileIDsAreEscaped(t *testing.T) {
	b := over(t, func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "files:upload") {
			return reply(200, openAnswer("a/b?c")), nil
		}
		require.Equal(t, "/bv/cms/v1/library/files/a%2Fb%3Fc:cancel-upload", r.URL.RequestURI())
		return reply(200, "{}"), nil
	})
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
	require.NoError(t, err)
	require.NoError(t, f.Cancel(t.Context()))
}

// openAnswer is an answer with a plan of one part.
func openAnswer(fileID string) string {
	return `{"file": {"id": "` + fileID + `"}, "upload_data": {"id": "upload-id",
		"parts": [{"part_number": 1, "presigned_url": "https://objects.example/1?X-Signature=s1"}]}}`
}

func TestThereIsNothingToResume(t *testing.T) {
	b := newOffline(t)
	_, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, "id")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, sluice.NewPart(0, []byte("x"), nil))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	for _, err := range b.Unfinished(t.Context(), "") {
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
}
