package protect

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "canary-key-of-thirty-two-bytes!!"

func TestAKeyIsSentWithItsMD5(t *testing.T) {
	k, err := NewKey([]byte(canary))
	require.NoError(t, err)
	h := http.Header{}
	k.Set(h, "X-Bz-")
	require.Equal(t, http.Header{
		"X-Bz-Server-Side-Encryption-Customer-Algorithm": {"AES256"},
		"X-Bz-Server-Side-Encryption-Customer-Key":       {"Y2FuYXJ5LWtleS1vZi10aGlydHktdHdvLWJ5dGVzISE="},
		"X-Bz-Server-Side-Encryption-Customer-Key-Md5":   {"dHgTjxPHsqJ/9qiYF/DyIw=="},
	}, h)
	require.Equal(t, h["X-Bz-Server-Side-Encryption-Customer-Key"], k.Secrets())
}

func TestNoKeySendsNothing(t *testing.T) {
	h := http.Header{}
	Key{}.Set(h, "X-Bz-")
	require.Empty(t, h)
	require.Empty(t, Key{}.Secrets())
	require.False(t, Key{}.Given())
}

func TestAKeyIsCopiedAndNeverShown(t *testing.T) {
	given := []byte(canary)
	k, err := NewKey(given)
	require.NoError(t, err)
	clear(given)
	key, _ := k.Base64()
	require.Equal(t, "Y2FuYXJ5LWtleS1vZi10aGlydHktdHdvLWJ5dGVzISE=", key)
	around := struct{ Key Key }{k}
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v", k, k, k), fmt.Sprintf("%v %+v %#v", around, around, &around)} {
		require.NotContains(t, shown, "canary")
		require.NotContains(t, shown, fmt.Sprint([]byte(canary)[:4]))
		require.NotContains(t, shown, "99 97 110 97")
		require.NotContains(t, shown, "0x63, 0x61")
	}
}

func TestAKeyHas32Bytes(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		_, err := NewKey(bytes.Repeat([]byte{1}, n))
		require.EqualError(t, err, fmt.Sprintf("customer key of %d bytes; AES-256 takes 32", n))
	}
}
