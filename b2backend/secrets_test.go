package b2backend_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/hostile"
)

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }

// canaries are the secrets of a session: the application key, the account
// token, an upload token and a customer's encryption key, in the forms in which
// they travel.
var (
	customerKey = []byte("CANARY-CUSTOMER-KEY-32-BYTES-!!!")
	canaries    = []string{
		"CANARY-APPLICATION-KEY", "CANARY-ACCOUNT-TOKEN", "CANARY-UPLOAD-TOKEN",
		base64.StdEncoding.EncodeToString([]byte("id:CANARY-APPLICATION-KEY")),
		base64.StdEncoding.EncodeToString(customerKey), string(customerKey),
	}
)

func requireNoCanary(t *testing.T, text string) {
	t.Helper()
	for _, c := range canaries {
		require.NotContains(t, text, c)
	}
	require.NotContains(t, text, "CANARY")
}

func TestSecretsPrintRedacted(t *testing.T) {
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	credentials := b2backend.NewCredentials("id", canaries[0])
	options := b2backend.FileOptions{Encryption: encryption}
	for _, v := range []any{credentials, &credentials, encryption, &encryption, options, &options, []any{credentials, encryption}} {
		text := hostile.Printed(v)
		requireNoCanary(t, text)
		require.NotContains(t, strings.ToLower(text), hex.EncodeToString(customerKey[:8]))
		require.NotContains(t, text, "67 65 78", "CAN in decimal")
	}
	require.Equal(t, "b2 key id", credentials.String())
	require.Equal(t, "SSE-C (key redacted)", encryption.String())
	require.Equal(t, "SSE-B2", b2backend.EncryptB2().String())
	require.Equal(t, "default", b2backend.Encryption{}.String())
	_, err = b2backend.EncryptCustomer(customerKey[:31])
	require.EqualError(t, err, "b2backend: customer key of 31 bytes; AES-256 takes 32")
}
