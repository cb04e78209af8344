package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/bench/internal/lab"
)

func TestB2sLimitsAreKnownBeforeItIsAsked(t *testing.T) {
	for _, least := range []int64{0, 1} {
		server, err := b2test.Start(&b2test.Options{MinPartSize: least})
		require.NoError(t, err)
		defer server.Close()
		b, err := b2backend.New(t.Context(), b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
			&b2backend.Options{Endpoint: server.URL()})
		require.NoError(t, err)
		want := b.Limits()
		want.PartDigests, want.Resumable = nil, false // they cut nothing
		require.Equal(t, want, job{To: toB2, Link: lab.Link{MinPart: least}}.limits())
	}
}

// The parts of a stream grow. Only its last one may be cut once more, over uploads that idle.
func TestALimitPostsThePartsThatAStreamSends(t *testing.T) {
	j := job{Work: workStream, To: toB2, From: fromReader, Size: 4<<30 + 12345, PartSize: 5 << 20, Concurrency: 4, Memory: 256 << 20}
	limit, err := cuts(t.Context(), posting(j))
	require.NoError(t, err)
	store := &cutter{limits: j.limits()}
	_, err = carry(t.Context(), j, store, &counter{})
	require.NoError(t, err)

	whole := len(limit) - 1
	require.Greater(t, whole, 10)
	require.Greater(t, limit[whole-1], limit[0], "they grow")
	require.Equal(t, limit[:whole], store.sizes[:whole])
	var rest, sum int64
	for _, n := range store.sizes[whole:] {
		rest += n
	}
	for _, n := range limit {
		sum += n
	}
	require.Equal(t, limit[whole], rest)
	require.Equal(t, j.Size, sum)
}

func TestAStreamOfOnePartIsPostedAsOne(t *testing.T) {
	for _, length := range []int64{1, 4 << 10, 5 << 20} {
		sizes, err := cuts(t.Context(), job{Work: workPost, Size: length, PartSize: 5 << 20, Concurrency: 1, Memory: 64 << 20})
		require.NoError(t, err)
		require.Equal(t, []int64{length}, sizes)
	}
}
