package s3backend

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// clocked is a store whose clock is ahead of this machine's, and that takes no
// request signed with another time.
func clocked(t *testing.T, store http.RoundTripper, ahead time.Duration, refused *int) *Backend {
	return canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
		now := time.Now().Add(ahead)
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		require.NoError(t, err)
		resp := modelError(r, http.StatusForbidden, "RequestTimeTooSkewed")
		if now.Sub(signed).Abs() < 15*time.Minute {
			if resp, err = store.RoundTrip(r); err != nil {
				return nil, err
			}
		} else {
			*refused++
		}
		resp.Header.Set("Date", now.UTC().Format(http.TimeFormat))
		return resp, nil
	})
}

func TestClock_OfTheStoreSignsAfterOneComplaint(t *testing.T) {
	for _, ahead := range []time.Duration{-48 * time.Hour, time.Hour, 48 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			refused := 0
			store := newModel()
			b := clocked(t, store, ahead, &refused)
			f, receipts := filled(t, b, false)
			_, err := f.Finish(t.Context(), receipts, nil)
			require.NoError(t, err)
			_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "b", Size: 1}, part(0, []byte("x")))
			require.NoError(t, err)
			require.Equal(t, 1, refused, "all calls after it are signed with the store's time")
		})
	}
}

// A clock that runs on between complaints is followed again.
func TestClock_IsFollowedEachTimeItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := 0
		store := newModel()
		b := clocked(t, store, time.Hour, &refused)
		f, receipts := filled(t, b, false)
		b.client.transport = clocked(t, store, 3*time.Hour, &refused).client.transport
		_, err := f.Finish(t.Context(), receipts, nil)
		require.NoError(t, err)
		require.Equal(t, 2, refused)
	})
}

func TestClock_ThatIsNeverRightIsFinal(t *testing.T) {
	for _, date := range []string{"", "Mon, 02 Jan 2006 15:04:05 GMT"} {
		asked := 0
		b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
			asked++
			resp := modelError(r, http.StatusForbidden, "RequestTimeTooSkewed")
			resp.Header.Set("Date", date)
			return resp, nil
		})
		_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		require.ErrorContains(t, err, "RequestTimeTooSkewed")
		require.NotErrorIs(t, err, sluice.ErrLeftBehind)
		require.Equal(t, map[bool]int{true: 1, false: 2}[date == ""], asked)
	}
}

// On a slow line a request takes longer to arrive than its signature holds, for
// which the clock is blamed.
func TestClock_ThatIsRightIsNotBlamedForASlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, slow := newModel(), 3
		b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
			resp := modelError(r, http.StatusForbidden, "RequestTimeTooSkewed")
			if slow--; slow < 0 {
				return store.RoundTrip(r)
			}
			resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			return resp, nil
		})
		_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
		require.NoError(t, err)
		require.Zero(t, b.client.ahead.Load())
	})
}

// The age of an upload is a matter of the store's clock alone.
func TestUnfinished_TellsTheAgeByTheStoresClock(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	list := func(initiated string) string {
		return "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>u1</UploadId>" + initiated + "</Upload></ListMultipartUploadsResult>"
	}
	for name, c := range map[string]struct {
		body, date string
		want       time.Duration
	}{
		"a date":  {list("<Initiated>2026-01-02T03:04:05Z</Initiated>"), started.Add(time.Second).Format(http.TimeFormat), time.Second},
		"no time": {list(""), started.Format(http.TimeFormat), 0},
		"no date": {list("<Initiated>" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + "</Initiated>"), "", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := canned(t, Options{}, func(*http.Request) (*http.Response, error) {
				resp := response(http.StatusOK, c.body)
				resp.Header.Set("Date", c.date)
				return resp, nil
			})
			for u, err := range b.Unfinished(context.Background(), "") {
				require.NoError(t, err)
				require.InDelta(t, c.want, u.Age, float64(time.Minute))
				if c.want < time.Minute {
					require.Equal(t, c.want, u.Age)
				}
			}
		})
	}
}
