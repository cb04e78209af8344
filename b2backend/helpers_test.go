package b2backend_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// minPart is the smallest part of the test servers, so that large files are
// small.
const minPart = 100

// swift retries at once, that is: within a millisecond.
var swift = sluice.Retry{MaxWait: time.Millisecond}

// newServer starts a server that must have nothing to complain about when the
// test ends.
func newServer(t *testing.T, opts *b2test.Options) *b2test.Server {
	if opts == nil {
		opts = &b2test.Options{}
	}
	if opts.MinPartSize == 0 {
		opts.MinPartSize = minPart
	}
	s := b2test.NewServer(opts)
	t.Cleanup(func() {
		s.Close()
		if !t.Failed() {
			require.NoError(t, s.Check())
		}
	})
	return s
}

func inject(t *testing.T, s *b2test.Server, faults ...b2test.Fault) {
	t.Helper()
	require.NoError(t, s.Inject(faults...))
}

// mainKey is the server's key that may do everything.
func mainKey(s *b2test.Server) b2backend.Credentials {
	return b2backend.NewCredentials(s.KeyID(), s.Key())
}

// newKey makes a key with only these capabilities.
func newKey(t *testing.T, s *b2test.Server, k b2test.Key) b2backend.Credentials {
	k, err := s.AddKey(k)
	require.NoError(t, err)
	return b2backend.NewCredentials(k.ID, k.Secret)
}

// dial connects with the key that may do everything.
func dial(t *testing.T, s *b2test.Server) *b2backend.Backend {
	return dialAs(t, s, mainKey(s), nil)
}

func dialAs(t *testing.T, s *b2test.Server, k b2backend.Credentials, o *b2backend.Options) *b2backend.Backend {
	b, err := connect(t, s, k, o)
	require.NoError(t, err)
	return b
}

func connect(t *testing.T, s *b2test.Server, k b2backend.Credentials, o *b2backend.Options) (*b2backend.Backend, error) {
	if o == nil {
		o = &b2backend.Options{}
	}
	o.Endpoint = s.URL()
	if o.Retry == (sluice.Retry{}) {
		o.Retry = swift
	}
	if o.Transport == nil {
		rt := httpx.NewTransport()
		t.Cleanup(rt.CloseIdleConnections)
		o.Transport = rt
	}
	return b2backend.New(t.Context(), k, s.Bucket(), o)
}

// part is a part with its digest, 0 for a single upload.
func part(number int, data []byte) *sluice.Part {
	sum := sha1.Sum(data)
	return sluice.NewPart(number, data, sluice.Digests{{Name: "sha1", Sum: sum[:]}})
}

func spec(name string) sluice.FileSpec { return sluice.FileSpec{Name: name, Size: sluice.UnknownSize} }

// sized is the spec of a file of a known size.
func sized(name string, size int) sluice.FileSpec {
	return sluice.FileSpec{Name: name, Size: int64(size)}
}

// start begins a large file.
func start(t *testing.T, b *b2backend.Backend, name string) *b2backend.LargeFile {
	f, err := b.StartLargeFile(t.Context(), spec(name))
	require.NoError(t, err)
	return f.(*b2backend.LargeFile)
}

// put uploads a part.
func put(t *testing.T, f sluice.LargeFile, number int, data []byte) sluice.Receipt {
	r, err := f.UploadPart(t.Context(), part(number, data))
	require.NoError(t, err)
	return r
}

// requireStored compares a stored file.
func requireStored(t *testing.T, s *b2test.Server, name string, want []byte) *b2test.File {
	t.Helper()
	f, err := s.File(s.Bucket(), name)
	require.NoError(t, err)
	got, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes stored, %d sent", len(got), len(want))
	return f
}

// calls are the names of the calls that arrived, logins and lookups of buckets
// left out.
func calls(s *b2test.Server) []string {
	var names []string
	for _, r := range s.Requests() {
		if r.Host != "authorize" && r.Call != "b2_list_buckets" {
			names = append(names, strings.TrimPrefix(r.Call, "b2_"))
		}
	}
	return names
}

// streamed uploads data through the writer in parts of minPart, four at a time.
func streamed(ctx context.Context, b sluice.Backend, name string, data []byte) (sluice.File, error) {
	opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: int64(len(data)) + 1, MemoryLimit: 64 * minPart, Concurrency: 4}
	return sluice.Upload(ctx, b, name, opts, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
}

// store uploads data, in parts if it is longer than one.
func store(t *testing.T, b *b2backend.Backend, name string, data []byte) sluice.File {
	f, err := streamed(t.Context(), b, name, data)
	require.NoError(t, err)
	return f
}
