package blendvisionbackend_test

import (
	"context"
	"errors"
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
			`receipt 1 is of part 2 with ETag "t"`:            {[]sluice.Receipt{{Number: 2, Tag: "t"}}, digests},
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

// What is lost on the way back is settled by asking for the file; what is lost on the way there is sent again.
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
		"no answer":                   {{Kind: bvtest.StallAnswer}},
		"not read":                    {{Kind: bvtest.Stall}},
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
	for _, status := range []int{302, 400, 401, 403, 404, 409, 429} {
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
				}
				return nil, io.ErrUnexpectedEOF
			})
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.NoError(t, err)
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, Tag: "e"}}, sums([]byte("x")))
			require.Equal(t, found, err == nil)
			require.Equal(t, !found, errors.Is(err, sluice.ErrFinishUnknown))
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
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, Tag: "e"}}, sums([]byte("x")))
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
			// Fired comes before the call is carried out; a lost 504 is an answer that says nothing.
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
			w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.StallAnswer, Fired: cancel})
			w.inject(bvtest.Fault{Call: bvtest.CallDownload, Count: -1, Kind: bvtest.StallAnswer})
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
		b := over(t, func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "files:upload") {
				return reply(200, openAnswer("library-id")), nil
			}
			return reply(404, body), nil
		})
		f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
		require.NoError(t, err)
		require.Equal(t, gone, f.Cancel(t.Context()) == nil)
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
