package engines

import (
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// start starts a server for a test. A store that is not installed skips the test, loudly; where
// SLUICE_TEST_TOOLS is "required", as in the gate, it fails.
func start(t *testing.T, kind Kind) *Server {
	s, err := Start(t.Context(), kind)
	if errors.Is(err, ErrMissing) && os.Getenv("SLUICE_TEST_TOOLS") != "required" {
		t.Skip("NOT TESTED:", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoDirExists(t, s.folder)
		for _, p := range s.processes {
			require.NotNil(t, p.cmd.ProcessState, "the process has ended")
		}
	})
	return s
}

// kinds are the stores that the tests run: all of them where SLUICE_TEST_ENGINES is "all", else
// those that start at little cost.
func kinds() []Kind {
	few := []Kind{Versitygw, Gofakes3, Ceph}
	if os.Getenv("SLUICE_TEST_ENGINES") == "all" {
		return append(few, MinIO, SeaweedFS)
	}
	return few
}

func TestServer_ServesAndLeavesNothing(t *testing.T) {
	for _, kind := range kinds() {
		if kind == Ceph { // takes long to start; TestMatrix starts it
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind)
			require.NotEmpty(t, s.Version)
			require.NoError(t, s.MakeBucket("bucket"))
			a, err := s.Ask(t.Context(), http.MethodPut, "/bucket/a", nil, []byte("content"))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, a.Status, string(a.Body))
			a, err = s.Ask(t.Context(), http.MethodGet, "/bucket/a", nil, nil)
			require.NoError(t, err)
			require.Equal(t, "content", string(a.Body))
		})
	}
}

func TestStart_RejectsUnknownKinds(t *testing.T) {
	_, err := Start(t.Context(), "etch-a-sketch")
	require.EqualError(t, err, `engines: there is no "etch-a-sketch"`)
}
