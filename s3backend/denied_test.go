package s3backend

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/httpx"
)

func TestAProxyThatDeniesAccess_IsFinalForEveryCall(t *testing.T) {
	for call, do := range map[string]func(t *testing.T, b *Backend) error{
		"download": func(t *testing.T, b *Backend) error {
			_, err := b.Stat(t.Context(), "a")
			return err
		},
		"single upload": func(t *testing.T, b *Backend) error {
			_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4}, part(0, []byte("data")))
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			return err
		},
		"start": func(t *testing.T, b *Backend) error {
			_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
			require.NotErrorIs(t, err, sluice.ErrLeftBehind)
			return err
		},
		"part": func(t *testing.T, b *Backend) error {
			_, err := b.open("id", "a", nil).UploadPart(t.Context(), part(1, []byte("data")))
			return err
		},
	} {
		for _, status := range hostile.DenyingStatuses {
			t.Run(fmt.Sprint(call, " ", status), func(t *testing.T) {
				transport := httpx.NewTransport()
				t.Cleanup(transport.CloseIdleConnections)
				rt, asked := hostile.DenyingProxy(t, transport, "", status)
				b := newBackend(t, "https://127.0.0.1", "bucket", &Options{Transport: rt})
				hostile.RequireDenied(t, do(t, b), status, asked)
			})
		}
	}
}
