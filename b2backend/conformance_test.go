package b2backend_test

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest"
)

func TestBackendKeepsItsContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		s := newServer(t, nil)
		if strings.HasSuffix(t.Name(), "resume-id") {
			// A second handle finishes what the first one then cancels, which
			// the server takes for one careless client.
			s = b2test.NewServer(&b2test.Options{MinPartSize: minPart})
			t.Cleanup(s.Close)
		}
		b := dial(t, s)
		encryption, err := b2backend.EncryptCustomer(customerKey)
		require.NoError(t, err)
		return backendtest.Store{
			Backend: b,
			Keyed:   b.With(b2backend.FileOptions{Encryption: encryption}),
			Open: func(name string) (io.ReadCloser, error) {
				f, err := finished(s, name)
				if err != nil {
					return nil, err
				}
				return io.NopCloser(f.Reader()), nil
			},
			Stat: func(name string) (sluice.FileSpec, error) {
				f, err := finished(s, name)
				if err != nil {
					return sluice.FileSpec{}, err
				}
				info := maps.Clone(f.Info)
				delete(info, "sluice-id")
				return sluice.FileSpec{Name: f.Name, Size: f.Size, ContentType: f.ContentType, Metadata: info}, nil
			},
		}
	})
}

// finished is the newest version of that name.
func finished(s *b2test.Server, name string) (*b2test.File, error) {
	f, err := s.File(s.Bucket(), name)
	if err != nil {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	return f, nil
}
