package blendvisionbackend_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// The contract of a backend, over real sockets, against bvtest. The smallest
// part is less than the service's 5 MiB, to keep it short. There is no Stat,
// because the service keeps no content type; that it keeps the metadata is
// TestFileOptionsReachTheService's to show.
func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		server, err := bvtest.Start(&bvtest.Options{PartSize: 64 << 10, MinPart: 64 << 10})
		require.NoError(t, err)
		t.Cleanup(server.Close)
		answers := &backendtest.Answers{Next: http.DefaultTransport}
		b, err := blendvisionbackend.New(
			blendvisionbackend.NewCredentials(server.Token(), server.OrgID()),
			&blendvisionbackend.Options{Endpoint: server.URL(), Transport: answers, Retry: sluice.Retry{Attempts: 4, MaxWait: 5 * time.Millisecond}})
		require.NoError(t, err)
		return backendtest.Store{
			Answers:  answers,
			ReadName: func(f sluice.File) string { return f.ID },
			Backend:  b.WithMinPart(64 << 10),
			Size:     128<<10 + 1,
			Open:     func(name string) (io.ReadCloser, error) { return open(server, name) },
		}
	})
}

// finished is the newest finished file of that name.
func finished(server *bvtest.Server, name string) (bvtest.Session, error) {
	sessions := server.Sessions()
	for i := len(sessions) - 1; i >= 0; i-- {
		if sessions[i].Name == name && sessions[i].State == bvtest.Completed {
			return sessions[i], nil
		}
	}
	return bvtest.Session{}, fs.ErrNotExist
}

func open(server *bvtest.Server, name string) (io.ReadCloser, error) {
	s, err := finished(server, name)
	if err != nil {
		return nil, err
	}
	content, _ := server.Content(s.FileID)
	return io.NopCloser(bytes.NewReader(content)), nil
}
