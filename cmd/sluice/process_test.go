package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program as it is, with the destinations that it has.
func TestAProcessReportsTheSHA256OfItsInput(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	data := noise(30_000_000)
	for _, args := range [][]string{{"--json", "mem://x"}, {"--json", "mem://x", "--", "cat"}} {
		c := exec.Command(binary, args...)
		c.Env = childEnv("sluice")
		c.Stdin = bytes.NewReader(data)
		out, err := c.Output()
		require.NoError(t, err)
		var o report
		require.NoError(t, json.Unmarshal(out, &o))
		sum := sha256.Sum256(data)
		require.Equal(t, hex.EncodeToString(sum[:]), o.SHA256)
		require.EqualValues(t, len(data), o.Size)
	}
}
