package blendvisionbackend_test

import (
	"context"
	"errors"
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

func TestReceiptHoldsTheETagVerbatim(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f := w.start(11)
		r, err := f.UploadPart(w.Context(), sluice.NewPart(1, []byte("hello world"), nil))
		require.NoError(w, err)
		require.Equal(w, sluice.Receipt{Number: 1, ETag: `"5eb63bbbe01eeed093cb22bb8f5acdc3"`}, r)
		require.NoError(w, f.Cancel(w.Context()))
		require.NoError(w, w.server.Check(), "no credentials at the object store")
	})
}

func TestPartsThatAreNotPlannedAreRefused(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f := w.start(3)
		for text, p := range map[string]*sluice.Part{
			"part 0 is not one of the 1 planned": sluice.NewPart(0, []byte("abc"), nil),
			"part 2 is not one of the 1 planned": sluice.NewPart(2, []byte("abc"), nil),
			"part 1 has 2 bytes, planned are 3":  sluice.NewPart(1, []byte("ab"), nil),
		} {
			_, err := f.UploadPart(w.Context(), p)
			require.EqualError(w, err, "blendvisionbackend: "+text)
		}
		require.NoError(w, f.Cancel(w.Context()))
		_, err := f.UploadPart(w.Context(), sluice.NewPart(1, []byte("abc"), nil))
		require.EqualError(w, err, "blendvisionbackend: upload "+f.Info().ID+" is cancelled")
		require.NoError(w, w.server.Check())
	})
}

func TestPartIsSentAgainAfterAPassingFailure(t *testing.T) {
	for name, fault := range map[string]bvtest.Fault{
		"408":                 {Kind: bvtest.Refuse, Status: 408},
		"429":                 {Kind: bvtest.Refuse, Status: 429},
		"499":                 {Kind: bvtest.Refuse, Status: 499},
		"500":                 {Kind: bvtest.Refuse, Status: 500},
		"502":                 {Kind: bvtest.Refuse, Status: 502},
		"503":                 {Kind: bvtest.Refuse, Status: 503},
		"504":                 {Kind: bvtest.Refuse, Status: 504},
		"520":                 {Kind: bvtest.Refuse, Status: 520},
		"530":                 {Kind: bvtest.Refuse, Status: 530},
		"598":                 {Kind: bvtest.Refuse, Status: 598},
		"599":                 {Kind: bvtest.Refuse, Status: 599},
		"a gateway's 403":     {Kind: bvtest.Refuse, Status: 403, Gateway: true},
		"a gateway's 404":     {Kind: bvtest.Refuse, Status: 404, Gateway: true},
		"a gateway's 520":     {Kind: bvtest.Refuse, Status: 520, Gateway: true},
		"503 early":           {Kind: bvtest.RefuseEarly},
		"connection closed":   {Kind: bvtest.Drop},
		"answer lost":         {Kind: bvtest.LoseAnswer},
		"answer without ETag": {Kind: bvtest.Garbage},
		"no byte taken":       {Kind: bvtest.StallEarly},
		"no answer":           {Kind: bvtest.Stall},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				content := make([]byte, mebi)
				fault.Call, fault.Part, fault.Count = bvtest.CallPut, 1, 3
				w.inject(fault)
				f, receipts, digests := w.ready(content)
				file, err := f.Finish(w.Context(), receipts, digests)
				require.NoError(w, err)
				got, _ := w.server.Content(file.ID)
				require.Equal(w, content, got)
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestAnswerToAPartNeedsNoBody(t *testing.T) {
	inWorld(t, nil, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallPut, Kind: bvtest.Truncate})
		f, receipts, digests := w.ready([]byte("x"))
		_, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err)
		require.NotContains(w, w.log.String(), "retrying")
		require.NoError(w, w.server.Check())
	})
}

func TestOtherStatusesAreFinal(t *testing.T) {
	for _, status := range []int{302, 400, 403, 404, 409} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				w.inject(bvtest.Fault{Call: bvtest.CallPut, Kind: bvtest.Refuse, Status: status, Message: "because"})
				f := w.start(1)
				_, err := f.UploadPart(w.Context(), sluice.NewPart(1, []byte("x"), nil))
				var refused *blendvisionbackend.Error
				require.ErrorAs(w, err, &refused)
				require.Equal(w, status, refused.Status)
				require.Equal(w, "put part", refused.Call)
				require.Equal(w, "because", refused.Message)
				require.NoError(w, f.Cancel(w.Context()))
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestExpiredURLIsFinalAndSaysSoWithoutTheSignature(t *testing.T) {
	inWorld(t, nil, func(w world) {
		f := w.start(1)
		w.server.Advance(2 * time.Hour)
		began := time.Now()
		_, err := f.UploadPart(w.Context(), sluice.NewPart(1, []byte("x"), nil))
		require.EqualError(w, err, "blendvisionbackend: put part: 403 AccessDenied: Request has expired; "+
			"the presigned URL has expired or was altered, and the service renews none: upload the file again")
		require.Zero(w, time.Since(began), "no other attempt")
		require.NoError(w, f.Cancel(w.Context()))
		require.NoError(w, w.server.Check())
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for call, run := range map[bvtest.Call]func(w world) error{
		bvtest.CallUpload: func(w world) error {
			f, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
			if err != nil {
				return err
			}
			return f.Cancel(w.Context())
		},
		bvtest.CallPut: func(w world) error {
			f := w.start(1)
			w.put(f, []byte("x"))
			return f.Cancel(w.Context())
		},
		bvtest.CallComplete: func(w world) error {
			f, receipts, digests := w.ready([]byte("x"))
			_, err := f.Finish(w.Context(), receipts, digests)
			return err
		},
		bvtest.CallCancel: func(w world) error { return w.start(1).Cancel(w.Context()) },
	} {
		t.Run(string(call), func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				w.inject(bvtest.Fault{Call: call, Count: 2, Kind: bvtest.Refuse, Status: 429, RetryAfter: "77"})
				began := time.Now()
				require.NoError(w, run(w))
				require.Equal(w, 2*77*time.Second, time.Since(began))
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestARefusalSaysHowLongToWait(t *testing.T) {
	for call, code := range map[bvtest.Call]string{bvtest.CallUpload: "RESOURCE_EXHAUSTED", bvtest.CallPut: "InjectedFault"} {
		t.Run(string(call), func(t *testing.T) {
			inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 1}}, func(w world) {
				w.inject(bvtest.Fault{Call: call, Kind: bvtest.Refuse, Status: 429, Message: "later", RetryAfter: "77"})
				f, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
				if call == bvtest.CallPut {
					require.NoError(w, err)
					_, err = f.UploadPart(w.Context(), sluice.NewPart(1, []byte("x"), nil))
					require.NoError(w, f.Cancel(w.Context()))
				}
				var refused *blendvisionbackend.Error
				require.ErrorAs(w, err, &refused)
				require.Equal(w, 77*time.Second, refused.RetryAfter)
				require.Equal(w, code, refused.Code)
				require.Equal(w, "later", refused.Message)
			})
		})
	}
}

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	require.ErrorIs(t, &blendvisionbackend.Error{Status: 503}, sluice.ErrSlowDown)
	require.NotErrorIs(t, &blendvisionbackend.Error{Status: 500}, sluice.ErrSlowDown)
}

func TestAttemptsAreLimited(t *testing.T) {
	inWorldWith(t, nil, blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 3}}, func(w world) {
		calls := 0
		w.inject(bvtest.Fault{
			Call: bvtest.CallUpload, Count: -1, Kind: bvtest.Refuse, Status: 503, Message: "maintenance", Fired: func() { calls++ },
		})
		_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
		require.EqualError(w, err, "sluice: a large file may be left unfinished: blendvisionbackend: files:upload: 503 UNAVAILABLE: maintenance")
		require.Equal(w, 3, calls)
	})
}

// A start outlives its context for a moment, so that the session it opens can be cancelled.
func TestContextEndsAStart(t *testing.T) {
	t.Run("that is answered", func(t *testing.T) {
		inWorld(t, &bvtest.Options{Numbers: func(int64) []int { time.Sleep(2 * time.Second); return []int{1} }}, func(w world) {
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			_, err := w.backend.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: 1})
			require.ErrorIs(w, err, context.DeadlineExceeded)
			require.Equal(w, bvtest.Cancelled, w.session().State)
			require.NoError(w, w.server.Check())
		})
	})
	t.Run("that is not", func(t *testing.T) {
		inWorld(t, nil, func(w world) {
			ctx, cancel := context.WithCancel(w.Context())
			w.inject(bvtest.Fault{Call: bvtest.CallUpload, Kind: bvtest.Stall, Fired: cancel})
			began := time.Now()
			_, err := w.backend.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: 1})
			require.ErrorIs(w, err, context.Canceled)
			require.Equal(w, 5*time.Second, time.Since(began))
			require.NoError(w, w.server.Check())
		})
	})
}

func TestUploadPart_TimesOutAfterItsLastByte(t *testing.T) {
	o := blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 1, Timeout: time.Second, Stall: time.Hour}}
	inWorldWith(t, nil, o, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallPut, Kind: bvtest.Stall})
		f := w.start(mebi)
		began := time.Now()
		_, err := f.UploadPart(w.Context(), sluice.NewPart(1, make([]byte, mebi), nil))
		require.ErrorContains(w, err, "put part: attempt took too long")
		require.Equal(w, time.Second, time.Since(began))
		require.NoError(w, f.Cancel(w.Context()))
	})
}

func TestContextEndsAPart(t *testing.T) {
	for _, kind := range []bvtest.FaultKind{bvtest.StallEarly, bvtest.Stall, bvtest.Refuse} {
		t.Run(string(kind), func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				why := errors.New("why")
				ctx, cancel := context.WithCancelCause(w.Context())
				w.inject(bvtest.Fault{Call: bvtest.CallPut, Count: -1, Kind: kind, Fired: func() { cancel(why) }})
				f := w.start(1)
				began := time.Now()
				_, err := f.UploadPart(ctx, sluice.NewPart(1, []byte("x"), nil))
				require.ErrorIs(w, err, context.Canceled)
				require.ErrorIs(w, err, why)
				require.Zero(w, time.Since(began))
				require.NoError(w, f.Cancel(w.Context()))
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestAnswerToOpenThatLacksWhatIsNeeded(t *testing.T) {
	for body, text := range map[string]string{
		`{}`: "files:upload: unusable answer: it lacks the id of the file or of the upload; nobody can cancel it",
		`{"file": {"id": "f"}, "upload_data": {"parts": []}}`:           "it lacks the id",
		`{"file": {"upload_data": {"id": "u", "parts": []}}}`:           "it lacks the id",
		`{"upload_data": {"id": "u", "parts": [{"part_number": "x"}]}}`: "unusable answer: not of the form expected: not an integer",
		`{"upload_data": {"id": "u", "parts": [{"part_number": 1.5}]}}`: "unusable answer: not of the form expected: not an integer",
		`[]`: "unusable answer: not of the form expected: a value is not of the kind expected",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := over(t, func(*http.Request) (*http.Response, error) { return reply(200, body), nil })
			_, err := b.StartLargeFile(t.Context(), documentedSpec)
			require.ErrorContains(t, err, text)
		})
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	b := over(t, func(*http.Request) (*http.Response, error) {
		return reply(400, `{"code": 3, "message": "`+strings.Repeat("ä", 2000)+`"}`), nil
	})
	_, err := b.StartLargeFile(t.Context(), documentedSpec)
	var refused *blendvisionbackend.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, strings.Repeat("ä", 512)+"…", refused.Message)
}

func TestUnreadableAnswerToOpenIsAskedForAgain(t *testing.T) {
	for _, kind := range []bvtest.FaultKind{bvtest.LoseAnswer, bvtest.Truncate, bvtest.Garbage, bvtest.Drop, bvtest.Stall} {
		t.Run(string(kind), func(t *testing.T) {
			inWorld(t, nil, func(w world) {
				w.inject(bvtest.Fault{Call: bvtest.CallUpload, Kind: kind})
				require.NoError(w, w.start(1).Cancel(w.Context()))
				require.NoError(w, w.server.Check())
			})
		})
	}
}
