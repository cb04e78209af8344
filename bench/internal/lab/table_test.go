package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATableIsTextAndMarkdown(t *testing.T) {
	table := Table{Head: []string{"a", "long head"}}
	table.Add("cell", "1")
	var text strings.Builder
	require.NoError(t, table.Text(&text))
	require.Equal(t, "a     long head\ncell  1\n", text.String())
	require.Equal(t, "| a | long head |\n|---|---|\n| cell | 1 |\n", table.Markdown())
}

func TestASectionTakesThePlaceOfTheOneBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	const before, after = "# Title\n\n<!-- measured: x -->\n", "\n<!-- end of x -->\n\nmore\n"
	require.NoError(t, os.WriteFile(file, []byte(before+"old"+after), 0o644))
	for range 2 {
		require.NoError(t, WriteSection(file, "x", "new\n\n"))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before+"new"+after, string(text))
	require.ErrorContains(t, WriteSection(file, "y", ""), "no place for y")
}

func TestACommandIsWrittenAsItIsTyped(t *testing.T) {
	require.Equal(t, `go run ./bench -only '^a/b x$'`, Shell("go", "run", "./bench", "-only", "^a/b x$"))
}
