package blendvisionbackend_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/httpx"
)

func TestAProxyThatDeniesAccess_IsFinalForEveryCall(t *testing.T) {
	for call, do := range map[string]func(t *testing.T, b *blendvisionbackend.Backend) error{
		":download": func(t *testing.T, b *blendvisionbackend.Backend) error {
			_, err := b.Stat(t.Context(), "id")
			return err
		},
		"files:upload": func(t *testing.T, b *blendvisionbackend.Backend) error {
			_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4})
			require.NotErrorIs(t, err, sluice.ErrLeftBehind)
			return err
		},
		"/1": func(t *testing.T, b *blendvisionbackend.Backend) error {
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4})
			require.NoError(t, err)
			_, err = f.UploadPart(t.Context(), sluice.NewPart(1, []byte("data"), nil))
			return err
		},
	} {
		for _, status := range hostile.DenyingStatuses {
			t.Run(fmt.Sprint(call, " ", status), func(t *testing.T) {
				server, err := bvtest.Start(nil)
				require.NoError(t, err)
				t.Cleanup(server.Close)
				transport := httpx.NewTransport()
				t.Cleanup(transport.CloseIdleConnections)
				rt, asked := hostile.DenyingProxy(t, transport, call, status)
				b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials(server.Token(), server.OrgID()),
					&blendvisionbackend.Options{Endpoint: server.URL(), Transport: rt})
				require.NoError(t, err)
				hostile.RequireDenied(t, do(t, b), status, asked)
			})
		}
	}
}
