package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// A source that is cut is an error also to compressors that take
// io.ErrUnexpectedEOF for the end.
func TestSource_ThatIsCutIsNoEndToACompressor(t *testing.T) {
	z, err := zstd.NewWriter(io.Discard)
	require.NoError(t, err)
	for _, cut := range []error{io.ErrUnexpectedEOF, fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)} {
		for name, compressor := range map[string]io.Writer{"s2": s2.NewWriter(io.Discard), "zstd": z, "none": io.Discard} {
			s := &source{reader: io.MultiReader(strings.NewReader("the first half"), failing{cut})}
			_, err := io.Copy(compressor, s)
			require.ErrorIs(t, err, errCut, name)
		}
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
