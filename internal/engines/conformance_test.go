//go:build unix

package engines

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
	"github.com/c1508ce4/sluice/s3backend"
)

// conforms runs the conformance kit on Ceph, MinIO or SeaweedFS. The tests of s3backend run it on
// versitygw, and gofakes3 verifies no digests.
func conforms(t *testing.T, server *Server) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		s := &stage{server, fmt.Sprintf("bucket-%d", buckets.Add(1))}
		require.NoError(t, server.MakeBucket(s.bucket))
		b := s.backend(t, s3backend.Options{})
		store := backendtest.Store{
			Backend: b,
			Open:    func(name string) (io.ReadCloser, error) { return sluice.NewReader(context.Background(), b, name, nil) },
		}
		if server.Kind == SeaweedFS {
			store.Backend = &spacedStarts{Backend: b}
		}
		return store
	})
}

// spacedStarts starts one large file in each second: the store tells whole seconds, and the kit
// compares the order.
type spacedStarts struct {
	*s3backend.Backend
	mu   sync.Mutex
	last int64 // the second of the latest start
}

func (s *spacedStarts) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for time.Now().Unix() <= s.last {
		time.Sleep(20 * time.Millisecond)
	}
	f, err := s.Backend.StartLargeFile(ctx, spec)
	s.last = time.Now().Unix()
	return f, err
}
