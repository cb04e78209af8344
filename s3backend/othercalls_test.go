package s3backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// fakes are what something before the store may answer in its place.
func fakes() map[string]func(*http.Request) (*http.Response, error) {
	all := map[string]func(*http.Request) (*http.Response, error){
		"closed": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	}
	for _, status := range []int{200, 204, 206, 400, 403, 404, 408, 429, 499, 500, 502, 503, 504, 520, 524, 530, 599, 999} {
		all[fmt.Sprintf("%d and nothing", status)] = func(*http.Request) (*http.Response, error) { return response(status, ""), nil }
		all[fmt.Sprintf("%d and a page", status)] = func(*http.Request) (*http.Response, error) {
			return response(status, "<html><body>Welcome</body></html>"), nil
		}
	}
	return all
}

// Cancel, Parts and Unfinished may not be wrong about what is there, whatever
// stands before the store. What passes is overcome.
func TestOtherCalls_BelieveNoGateway(t *testing.T) {
	for name, fake := range fakes() {
		for _, call := range []string{"AbortMultipartUpload", "ListParts", "ListMultipartUploads"} {
			for _, times := range []int{1, 1000} {
				t.Run(fmt.Sprintf("%s, %s, %d times", call, name, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { meetGateway(t, call, fake, times) })
				})
			}
		}
	}
}

func meetGateway(t *testing.T, call string, fake func(*http.Request) (*http.Response, error), times int) {
	store, met := newModel(), 0
	b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
		if callOf(r) == call {
			if met++; met <= times {
				return fake(r)
			}
		}
		return store.RoundTrip(r)
	})
	f, _ := filled(t, b, false)
	ctx := context.Background()
	parts, err := b.Parts(ctx, sluice.UnfinishedFile{ID: f.Info().ID, Spec: sluice.FileSpec{Name: "a"}})
	require.NotErrorIs(t, err, fs.ErrNotExist)
	if err == nil {
		require.Len(t, parts, len(threeParts))
	}
	for u, err := range b.Unfinished(ctx, "") {
		if err == nil {
			require.Equal(t, f.Info().ID, u.ID)
		}
	}
	err = f.Cancel(ctx)
	if err == nil && call != "AbortMultipartUpload" {
		require.Zero(t, store.unfinished())
	}
	if call == "AbortMultipartUpload" {
		require.Equal(t, err == nil, store.unfinished() == 0, "%v", err)
	}
	if e, ok := errors.AsType[*Error](err); times == 1 && ok {
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, e.Status, "the others pass")
	}
}

// A write-only key may not look whether an upload is gone. Then only the store's
// own word counts.
func TestCancel_TakesNoGatewaysWordUnseen(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   bool
	}{
		{http.StatusNoContent, "", true},
		{http.StatusOK, "", false},
		{http.StatusOK, "<html></html>", false},
		{http.StatusNotFound, fmt.Sprintf(xmlError, "NoSuchUpload"), true},
		{http.StatusNotFound, fmt.Sprintf(xmlError, "NoSuchKey"), true}, // Ceph
		{http.StatusNotFound, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
				if callOf(r) == "AbortMultipartUpload" {
					return response(c.status, c.body), nil
				}
				return modelError(r, http.StatusForbidden, "AccessDenied"), nil
			})
			err := b.open("u1", "a", nil).Cancel(t.Context())
			require.Equal(t, c.want, err == nil, "%v", err)
		})
	}
}
