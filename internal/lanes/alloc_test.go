//go:build !race

package lanes

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
		hashes, data = append(hashes, newSHA1()), append(data, fill(4096, lane))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { writeSHA1(hashes, data) }))
}
