package blendvisionbackend_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// inWorldWithOldToken has a backend whose token the service refuses. The
// credentials that are good are given to renew.
func inWorldWithOldToken(
	t *testing.T, renew func(good blendvisionbackend.Credentials) (blendvisionbackend.Credentials, error), run func(w world),
) {
	good := blendvisionbackend.NewCredentials("the-new-token", "an-organization")
	options := blendvisionbackend.Options{Retry: sluice.Retry{Attempts: 4}}
	if renew != nil {
		options.Renew = func(context.Context) (blendvisionbackend.Credentials, error) { return renew(good) }
	}
	inWorldWith(t, &bvtest.Options{Token: "the-new-token", OrgID: "an-organization"}, options, func(w world) {
		o := options
		o.Endpoint, o.Transport = w.server.URL(), w.transport
		var err error
		w.backend, err = blendvisionbackend.New(blendvisionbackend.NewCredentials("the-old-token", "an-organization"), &o)
		require.NoError(w, err)
		run(w)
	})
}

func TestRenew_ReplacesATokenThatIsRefused(t *testing.T) {
	read := 0
	inWorldWithOldToken(t, func(good blendvisionbackend.Credentials) (blendvisionbackend.Credentials, error) {
		switch read++; read {
		case 1:
			// it is not replaced yet
			return blendvisionbackend.NewCredentials("the-old-token", "an-organization"), nil
		case 2:
			return blendvisionbackend.Credentials{}, errors.New("the file is being replaced")
		}
		return good, nil
	}, func(w world) {
		began := time.Now()
		f, receipts, digests := w.ready([]byte("x"))
		_, err := f.Finish(w.Context(), receipts, digests)
		require.NoError(w, err)
		require.Equal(w, 3, read, "once for each attempt after a refusal")
		require.Less(w, time.Since(began), 10*time.Second)
		require.NotContains(w, w.log.String(), "token")
	})
}

func TestRenew_SaysWhyItFailed(t *testing.T) {
	inWorldWithOldToken(t, func(blendvisionbackend.Credentials) (blendvisionbackend.Credentials, error) {
		return blendvisionbackend.Credentials{}, errors.New("the file with the-old-token is being replaced")
	}, func(w world) {
		_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
		require.ErrorContains(w, err, "401 UNAUTHENTICATED")
		require.ErrorContains(w, err, "(reading the credentials again: the file with [redacted] is being replaced)")
		require.NotErrorIs(w, err, sluice.ErrLeftBehind)
		require.Empty(w, w.server.Sessions())
	})
}

func TestARefusedTokenIsFinalWithoutRenew(t *testing.T) {
	inWorldWithOldToken(t, nil, func(w world) {
		began := time.Now()
		_, err := w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "a", Size: 1})
		require.ErrorContains(w, err, "401 UNAUTHENTICATED")
		require.Zero(w, time.Since(began))
	})
}
