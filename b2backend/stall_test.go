package b2backend_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
)

// stallOnce has the next request of that call go unanswered, and later ones get
// the answer.
func (f *fake) stallOnce(call, answer string) {
	met := false
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[call] = func(req *http.Request) (int, string) {
		if met {
			return http.StatusOK, answer
		}
		met = true
		<-req.Context().Done()
		return 0, "the client went"
	}
}

// A stream leaves a minute for cancelling, less than the two minutes without a
// byte that an attempt may last otherwise.
func TestCancel_HasTimeForAnotherAttemptIfOneStalls(t *testing.T) {
	for _, call := range []string{"b2_cancel_large_file", "b2_authorize_account"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answers: map[string]func(*http.Request) (int, string){}}
				b, err := dialFake(t, f, nil)
				require.NoError(t, err)
				large := start(t, b, "file")
				f.stallOnce(call, fakeAnswers[call])
				if call == "b2_authorize_account" {
					f.answers["b2_cancel_large_file"] = times("b2_cancel_large_file", 401, `{"code":"expired_auth_token"}`)
				}
				ctx, cancel := context.WithTimeout(t.Context(), sluice.DefaultCleanupTimeout)
				defer cancel()
				require.NoError(t, large.Cancel(ctx))
				require.Equal(t, 2, f.count("b2_cancel_large_file"))
			})
		})
	}
}

// The answer to the finish is lost and there is no other attempt, so that there
// is a minute to look.
func TestFinish_LooksAgainIfALookUpStalls(t *testing.T) {
	for _, call := range []string{"b2_get_file_info", "b2_list_file_versions"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const file = `{"fileId":"large","fileName":"file","action":"upload","contentLength":200}`
				f := &fake{answers: map[string]func(*http.Request) (int, string){
					"b2_finish_large_file": func(*http.Request) (int, string) { return http.StatusBadGateway, "" },
				}}
				f.stallOnce(call, file)
				if call == "b2_list_file_versions" {
					f.stallOnce(call, `{"files":[`+file+`]}`)
					f.answers["b2_get_file_info"] = func(*http.Request) (int, string) {
						return http.StatusForbidden, `{"code":"access_denied"}`
					}
				}
				began := time.Now()
				_, err := finishWith(t, t.Context(), f, &b2backend.Options{Retry: sluice.Retry{Attempts: 1}})
				require.NoError(t, err)
				require.Less(t, time.Since(began), time.Minute)
			})
		})
	}
}
