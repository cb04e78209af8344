package b2backend_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// startFor starts a large file for so many uploads at once.
func startFor(t *testing.T, b *b2backend.Backend, uploads int) sluice.LargeFile {
	t.Helper()
	file := spec("file")
	file.Uploads = uploads
	large, err := b.StartLargeFile(t.Context(), file)
	require.NoError(t, err)
	return large
}

// urlsOf uploads parts one after the other to a large file that is said to get so many uploads at once, and counts the URLs
// asked for.
func urlsOf(t *testing.T, uploads, parts int, faults ...b2test.Fault) int {
	s := newServer(t, nil)
	b := dial(t, s)
	inject(t, s, faults...)
	large := startFor(t, b, uploads)
	for n := range parts {
		_, err := large.UploadPart(t.Context(), part(n+1, content(minPart)))
		require.NoError(t, err)
	}
	require.NoError(t, large.Cancel(t.Context()))
	return s.Count("b2_get_upload_part_url")
}

func TestURLsAreReadyForAllUploadsBeforeTheyAreNeeded(t *testing.T) {
	for parts, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 9: 4} {
		require.Equal(t, want, urlsOf(t, 4, parts), "%d parts", parts)
	}
	require.Equal(t, 1, urlsOf(t, 1, 5), "one upload at a time")
	require.Equal(t, 1, urlsOf(t, 0, 5), "not known")
}

func TestAURLThatCannotBeHadReadyFailsNothing(t *testing.T) {
	require.Equal(t, 3, urlsOf(t, 3, 5, b2test.Fault{Call: "b2_get_upload_part_url", Skip: 1, Status: 503}))
}

func TestAURLThatIsDroppedIsReplacedBeforeItIsNeeded(t *testing.T) {
	require.Equal(t, 5, urlsOf(t, 4, 12, b2test.Fault{Call: "b2_upload_part", Skip: 8, Status: 503}))
}

func TestATokenFoundDeadByAURLAskedForAheadIsReplacedBeforeTheNextCall(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	inject(t, s, b2test.Fault{Call: "b2_get_upload_part_url", Kind: b2test.ExpireToken, Skip: 1})
	large := startFor(t, b, 4)
	for n := range 5 {
		put(t, large, n+1, content(minPart))
	}
	require.NoError(t, large.Cancel(t.Context()))
	refused := 0
	for _, r := range s.Requests() {
		if r.Code == "expired_auth_token" {
			refused++
		}
	}
	require.Equal(t, 1, refused)
}

// What nobody waits for makes nobody wait: a URL is asked for ahead only while there is a token to ask with.
func TestAPartThatIsStoredWaitsForNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped(t)
		defer p.close(t)
		b, err := p.dial(t)
		require.NoError(t, err)
		large := startFor(t, b, 4)
		put(t, large, 1, content(minPart))
		inject(t, p.Server,
			b2test.Fault{Call: "b2_get_upload_part_url", Kind: b2test.ExpireToken},
			b2test.Fault{Call: "b2_authorize_account", Status: 503, RetryAfter: "60"})
		began := time.Now()
		for n := range 3 {
			put(t, large, 2+n, content(minPart))
		}
		require.Zero(t, time.Since(began))
		require.Equal(t, []int{1, 0}, p.Fired())
		require.NoError(t, large.Cancel(t.Context()))
		require.Equal(t, time.Minute, time.Since(began), "who needs a token logs in")
	})
}

func TestAPartThatIsStoredWaitsNotForLongForAURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped(t)
		defer p.close(t)
		b, err := p.dial(t)
		require.NoError(t, err)
		large := startFor(t, b, 2)
		put(t, large, 1, content(minPart))
		inject(t, p.Server, b2test.Fault{Call: "b2_get_upload_part_url", Kind: b2test.Stall})
		began := time.Now()
		put(t, large, 2, content(minPart))
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, []int{1}, p.Fired())
		put(t, large, 3, content(minPart))
		require.Equal(t, 10*time.Second, time.Since(began))
		require.NoError(t, large.Cancel(t.Context()))
	})
}

// At the end of a stream whose source is the slower side, the last part is cut over uploads that had nothing to do: what
// remains is their time and the finish's, and no time for URLs.
func TestTheTailWaitsForNoURL(t *testing.T) {
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
			_, err := w.Write(content(8 * minPart))
			require.NoError(t, err)
			time.Sleep(5 * latency)
		}
		began := time.Now()
		require.NoError(t, w.Close())
		require.Equal(t, 5+4, w.File().Parts)
		require.Equal(t, 2*latency, time.Since(began), "of the pieces, and of the finish")
		require.Equal(t, 4, p.Count("b2_get_upload_part_url"))
	})
}
