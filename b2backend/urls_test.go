package b2backend_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// At the end of a stream whose source is the slower side, the last part is cut
// over uploads that had nothing to do: what remains is their time and the
// finish's, and that of the URLs that were never needed before.
func TestTail_WaitsForOneRoundTripOfURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = time.Second / 2 // a second would be late: a piece might be sent twice
		p := newPipedWith(t, &b2test.Options{Latency: latency})
		defer p.close(t)
		b, err := p.dial(t)
		require.NoError(t, err)
		w, err := sluice.New(t.Context(), b, "file", &sluice.Options{
			PartSize: 8 * minPart, PageSize: minPart, MemoryLimit: 64 * minPart, MaxSize: 1000 * minPart, Concurrency: 4,
		})
		require.NoError(t, err)
		for range 6 {
			_, err := w.Write(testutil.Content(8 * minPart))
			require.NoError(t, err)
			time.Sleep(5 * latency)
		}
		began := time.Now()
		require.NoError(t, w.Close())
		require.Equal(t, 5+4, w.File().Parts)
		require.Equal(t, 3*latency, time.Since(began), "of the URLs, of the pieces, and of the finish")
		require.Equal(t, 4, p.Count("b2_get_upload_part_url"))
	})
}
