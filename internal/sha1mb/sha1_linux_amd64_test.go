//go:build !purego

package sha1mb

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Without this a processor that is not recognised would leave the other tests with nothing to show.
func TestTheProcessorIsRecognised(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	require.NoError(t, err)
	flags := strings.Fields(string(info))
	has := func(name string) bool { return slices.Contains(flags, name) }
	require.Equal(t, has("avx2") && has("avx512f") && has("avx512vl"), available)
}
