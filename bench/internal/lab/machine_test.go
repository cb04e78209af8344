package lab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACommandIsWrittenAsItIsTyped(t *testing.T) {
	require.Equal(t, `go run ./bench -only '^a/b x$' -size 1,5MiB`, Shell("go", "run", "./bench", "-only", "^a/b x$", "-size", "1,5MiB"))
	for word, want := range map[string]string{
		"":      `''`,
		"it's":  `'it'\''s'`,
		"a?b":   `'a?b'`,
		"a;b&c": `'a;b&c'`,
		"<{~#!": `'<{~#!'`,
		"a\tb":  "'a\tb'",
	} {
		require.Equal(t, want, Shell(word))
	}
}

func TestAHeaderShowsEveryCommandAsCode(t *testing.T) {
	require.Regexp(t, "^`go run .`, .*, rounds: 3; ", Header("go run .", 3))
	require.Regexp(t, "^`` -only 'a`b' ``, ", Header("-only 'a`b'", 1))
}
