package b2backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/testutil"
)

// Sizes around the part size arrive equal; what fits a part goes in one
// request, and a large file has at least two parts of which none is empty.
func TestStreamsOfEverySizeArriveEqual(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	for _, size := range []int{0, 1, minPart - 1, minPart, minPart + 1, 2*minPart - 1, 2 * minPart, 2*minPart + 1, 7*minPart - 1, 7 * minPart, 7*minPart + 1} {
		starts, singles := s.Count("b2_start_large_file"), s.Count("b2_upload_file")
		data := testutil.Content(size)
		file, err := streamed(t.Context(), b, "stream", data)
		require.NoError(t, err, "%d bytes", size)
		stored := requireStored(t, s, "stream", data)
		require.Equal(t, stored.ID, file.ID)
		require.EqualValues(t, size, file.Size)
		if size <= minPart {
			require.Equal(t, singles+1, s.Count("b2_upload_file"), "%d bytes", size)
			require.Zero(t, file.Parts)
		} else {
			require.Equal(t, starts+1, s.Count("b2_start_large_file"), "%d bytes", size)
			require.Equal(t, (size+minPart-1)/minPart, file.Parts)
		}
	}
}
