package blendvisionbackend_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
)

// Whatever the server answers, StartLargeFile gives a plan of the declared size or an error.
func FuzzAnswerToOpen(f *testing.F) {
	documented := read(f, "documented.json")
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		answer := documented[name].Response
		f.Add(answer.Status, []byte(answer.Body))
	}
	f.Add(502, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		b, err := blendvisionbackend.New(blendvisionbackend.Credentials{Token: "api-token", OrgID: "organization-id"},
			&blendvisionbackend.Options{
				Endpoint: "https://api.example",
				Retry:    sluice.Retry{Attempts: 1},
				Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					return reply(status, string(body)), nil
				}),
			})
		require.NoError(t, err)
		large, err := b.StartLargeFile(t.Context(), documentedSpec)
		if err != nil {
			var refused *blendvisionbackend.Error
			require.Equal(t, status != http.StatusOK, errors.As(err, &refused) && refused.Call == "files:upload")
			return
		}
		require.Equal(t, http.StatusOK, status)
		var sum int64
		for _, size := range large.Info().Plan {
			sum += size
		}
		require.Equal(t, documentedSpec.Size, sum)
	})
}
