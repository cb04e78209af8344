package httpx

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEscapeKeepsWhatItIsToldTo(t *testing.T) {
	require.Equal(t, "azAZ09", Escape("azAZ09", ""))
	require.Equal(t, "a%2Fb%2Bc%20d%C3%A9%00", Escape("a/b+c dé\x00", ""))
	require.Equal(t, "a/b%2Bc", Escape("a/b+c", "/"))
}

func FuzzEscape(f *testing.F) {
	f.Add("a/b+c dé\x00%")
	f.Fuzz(func(t *testing.T, text string) {
		back, err := url.PathUnescape(Escape(text, "-._~/"))
		require.NoError(t, err)
		require.Equal(t, text, back)
	})
}
