package s3backend

import (
	"errors"
	"io/fs"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/hostile"
)

// The answer to a removal is lost. Before the next attempt another program stores
// a file under the name, which was not asked to be removed.
func TestRemove_LeavesAFileAloneThatTakesTheNameBeforeItsNextAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		done, other bool // the removal, and another file before the next attempt
	}{
		"removed":               {true, false},
		"removed, another file": {true, true},
		"not removed":           {false, false},
		"replaced, not removed": {false, true}, // the version is gone in either case
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newModel()
				store.put("a", nil, []byte("old"))
				attempts := 0
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodDelete {
						return store.RoundTrip(r)
					}
					attempts++
					if c.done || attempts > 1 {
						delete(store.objects, "a")
					}
					if attempts > 1 {
						return response(http.StatusNoContent, ""), nil
					}
					if c.other {
						store.put("a", nil, []byte("new"))
					}
					return nil, errors.New("connection reset")
				})
				f, err := b.Stat(t.Context(), "a")
				require.NoError(t, err)
				store.put("a", nil, []byte("old"))
				require.NoError(t, b.Remove(t.Context(), f))
				now := store.object("a")
				require.Equal(t, c.other, now != nil)
				if c.other {
					require.Equal(t, "new", string(now.data))
				}
			})
		})
	}
}

func TestRemove_OfAFileThatIsNotThereFails(t *testing.T) {
	store := newModel()
	store.put("a", nil, []byte("old"))
	b := canned(t, Options{}, store.RoundTrip)
	f, err := b.Stat(t.Context(), "a")
	require.NoError(t, err)
	store.put("a", nil, []byte("new"))
	require.ErrorIs(t, b.Remove(t.Context(), f), sluice.ErrReplaced)
	delete(store.objects, "a")
	require.ErrorIs(t, b.Remove(t.Context(), f), fs.ErrNotExist)
}

func TestReads_TellTheLastFailureWhenTheirContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newModel()
		store.put("a", nil, []byte("data"))
		busy := false
		b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
			if busy {
				return modelError(r, http.StatusServiceUnavailable, "SlowDown"), nil
			}
			return store.RoundTrip(r)
		})
		f, err := b.Stat(t.Context(), "a")
		require.NoError(t, err)
		busy = true
		hostile.RequireLastFailure(t, b, f, true)
	})
}
