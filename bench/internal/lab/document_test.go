package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASectionTakesThePlaceOfTheOneBefore(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, Document)
	const before, after = "# Title\n\n<!-- measured: x -->\n", "\n<!-- end of x -->\n\nmore\n"
	require.NoError(t, os.WriteFile(file, []byte(before+"old"+after), 0o644))
	require.NoError(t, CheckSections(folder, "x"))
	for range 2 {
		require.NoError(t, WriteSection(folder, "x", "new\n\n"))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before+"new"+after, string(text))
	for _, err := range []error{WriteSection(folder, "y", ""), CheckSections(folder, "x", "y")} {
		require.ErrorContains(t, err, "has no place for y")
	}
}
