package localserver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoopback_IsThisMachineForCertain(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "127.9.9.9:80", "[::1]:0", "localhost:8080", "127.0.0.1"} {
		require.True(t, Loopback(address), address)
	}
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:80", "192.0.2.1:80", "example.test:80", "localhost.test:80", "[::ffff:192.0.2.1]:80"} {
		require.False(t, Loopback(address), address)
	}
}
