package b2backend_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestAProxyThatDeniesAccess_IsFinalForEveryCall(t *testing.T) {
	for call, do := range map[string]func(t *testing.T, b *b2backend.Backend) error{
		"/file/": func(t *testing.T, b *b2backend.Backend) error {
			store(t, b, "file", testutil.Content(10))
			_, err := b.Stat(t.Context(), "file")
			return err
		},
		byID: func(t *testing.T, b *b2backend.Backend) error {
			store(t, b, "file", testutil.Content(10))
			_, err := readAll(t.Context(), b, stat(t, b, "file"))
			return err
		},
		"b2_upload_part": func(t *testing.T, b *b2backend.Backend) error {
			_, err := start(t, b, "file").UploadPart(t.Context(), part(1, testutil.Content(minPart)))
			return err
		},
		"b2_upload_file": func(t *testing.T, b *b2backend.Backend) error {
			_, err := b.UploadFile(t.Context(), sized("file", 10), part(0, testutil.Content(10)))
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			return err
		},
		"b2_start_large_file": func(t *testing.T, b *b2backend.Backend) error {
			_, err := b.StartLargeFile(t.Context(), spec("file"))
			require.NotErrorIs(t, err, sluice.ErrLeftBehind)
			return err
		},
	} {
		for _, status := range hostile.DenyingStatuses {
			t.Run(fmt.Sprint(call, " ", status), func(t *testing.T) {
				s := newServer(t, nil)
				s.ExpectUnfinished("file")
				transport := httpx.NewTransport()
				t.Cleanup(transport.CloseIdleConnections)
				rt, asked := hostile.DenyingProxy(t, transport, call, status)
				b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: rt})
				hostile.RequireDenied(t, do(t, b), status, asked)
			})
		}
	}
}
