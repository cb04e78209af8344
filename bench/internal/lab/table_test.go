package lab

import (
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
