package s3backend

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest"
)

func TestConformance(t *testing.T) { conforms(t, Options{}) }

func TestConformance_OfAStoreWithEqualParts(t *testing.T) { conforms(t, Options{EqualParts: true}) }

func conforms(t *testing.T, options Options) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		bucket := newBucket(t)
		answers := &backendtest.Answers{Next: http.DefaultTransport}
		o := options
		o.Transport = answers
		b := newBackend(t, server.URL, bucket, &o)
		return backendtest.Store{
			Answers: answers,
			Backend: &spacedStarts{Backend: b, t: t, folder: filepath.Join(server.Data, bucket)},
			Open: func(name string) (io.ReadCloser, error) {
				resp, err := read(b, name)
				if err != nil {
					return nil, err
				}
				return resp.Body, nil
			},
			Stat: func(name string) (sluice.FileSpec, error) {
				resp, err := read(b, name)
				if err != nil {
					return sluice.FileSpec{}, err
				}
				return specOf(resp.Header), resp.Body.Close()
			},
		}
	})
}

// specOf is the content type and the metadata in a reader's headers.
func specOf(h http.Header) sluice.FileSpec {
	spec := sluice.FileSpec{ContentType: h.Get("Content-Type"), Metadata: map[string]string{}}
	for name := range h {
		if key, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			spec.Metadata[strings.ToLower(key)] = h.Get(name)
		}
	}
	delete(spec.Metadata, "sluice-id")
	return spec
}

// spacedStarts sets the store's clock forward: it tells whole seconds, and the
// kit starts several large files in one, whose order could not be told. The
// server takes the time of a start from the upload's folder.
type spacedStarts struct {
	*Backend
	t      *testing.T
	folder string
	starts atomic.Int64
}

func (s *spacedStarts) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	f, err := s.Backend.StartLargeFile(ctx, spec)
	if err != nil {
		return f, err
	}
	found, err := filepath.Glob(filepath.Join(s.folder, ".sgwtmp", "multipart", "*", f.Info().ID))
	require.NoError(s.t, err)
	require.Len(s.t, found, 1)
	at := time.Unix(1_700_000_000+s.starts.Add(1), 0)
	require.NoError(s.t, os.Chtimes(found[0], at, at))
	return f, nil
}
