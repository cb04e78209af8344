//go:build !race

package sha1mb

import (
	"hash"
	"testing"

	"github.com/stretchr/testify/require"
)

// With the race detector crypto/sha1 allocates where it marshals.
func TestNothingIsAllocated(t *testing.T) {
	var hashes []hash.Hash
	var data [][]byte
	for lane := range most {
		hashes, data = append(hashes, newDigest()), append(data, fill(4096, lane))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { (*digest)(nil).WriteBatch(hashes, data) }))
}
