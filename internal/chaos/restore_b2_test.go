package chaos

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// restoreCalls are the calls of a restore from B2.
var restoreCalls = []string{
	"b2_download_file_by_name", "b2_download_file_by_id", "b2_download_file_by_id", "b2_download_file_by_id",
	"b2_get_file_info", "b2_list_file_versions", "",
}

// Files are read from B2 while its answers are refused, lost, slow, truncated or
// garbled, its tokens expire, and its connections break.
func TestRestoresFromB2(t *testing.T) {
	sweep(t, 400, bubble(func(t *testing.T, rng *rand.Rand) {
		s := newService(t, rng)
		defer s.close()
		data := content(rng, rng.IntN(40*page))
		b, err := s.connect(t, sluice.Retry{})
		require.NoError(t, err)
		manifest := oneIn(rng, 2)
		o := &sluice.Options{PageSize: page, MemoryLimit: 32 * page, PartSize: page * (1 + rng.Int64N(6)), Manifest: manifest}
		_, err = sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		require.NoError(t, err)

		for range rng.IntN(6) {
			f := passingFault(rng, 4)
			if f.Call = restoreCalls[rng.IntN(len(restoreCalls))]; oneIn(rng, 4) {
				f = b2test.Fault{Kind: b2test.ExpireToken, Call: f.Call, Skip: f.Skip, Count: 1}
			}
			require.NoError(t, s.server.Inject(f))
		}
		broken := make(chan struct{})
		after := upTo(rng, 5*time.Second)
		go func() {
			defer close(broken)
			time.Sleep(after)
			s.reset()
		}()
		r := &sluice.ReadOptions{PageSize: page, MemoryLimit: page * (4 + rng.Int64N(40)), Concurrency: rng.IntN(5)}
		var got bytes.Buffer
		_, err = sluice.Download(t.Context(), b, "f", &got, r)
		<-broken
		if err == nil {
			verify(t, got.Bytes(), data)
			return
		}
		// an answer told a wrong length
		if !errors.Is(err, sluice.ErrDamaged) && !errors.Is(err, sluice.ErrManifestMismatch) {
			require.True(t, strings.Contains(err.Error(), "b2_"), "%v", err)
		}
		require.LessOrEqual(t, got.Len(), len(data))
		require.True(t, bytes.Equal(data[:got.Len()], got.Bytes()), "bytes that were delivered differ")
	}))
}
