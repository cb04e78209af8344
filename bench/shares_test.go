package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const traces = `File: bench
Type: cpu
Duration: 1.37s, Total samples = 1.02s (74.62%)
-----------+-------------------------------------------------------
     500ms   crypto/internal/fips140/sha1.blockSHANI
             crypto/sha1.(*digest).Write (inline)
             github.com/c1508ce4/sluice.hashers.sum
-----------+-------------------------------------------------------
      bytes:  1
      0.2s   internal/runtime/syscall/linux.Syscall6
             syscall.write
             internal/poll.(*FD).Write
             crypto/tls.(*Conn).Write
-----------+-------------------------------------------------------
     100ms   internal/runtime/syscall/linux.Syscall6
             internal/poll.(*FD).Read
             os.(*File).Read
-----------+-------------------------------------------------------
      50ms   crypto/internal/fips140/aes/gcm.gcmAesEnc
             crypto/tls.(*Conn).Write
-----------+-------------------------------------------------------
     100ms   runtime.memmove
             github.com/c1508ce4/sluice.(*LargeFileWriter).Write
-----------+-------------------------------------------------------
      30ms   runtime.futex
             runtime.mcall
      20ms   runtime.mallocgc
-----------+-------------------------------------------------------
`

func TestStacksAreSortedByWhatTheyAreFor(t *testing.T) {
	s, err := parseTraces([]byte(traces))
	require.NoError(t, err)
	require.Equal(t, []string{
		"1.0", "50.0 %", "10.0 %", "20.0 %", "5.0 %", "10.0 %", "5.0 %", "runtime.futex 3.0 %, runtime.mallocgc 2.0 %",
	}, s.cells())
	_, err = parseTraces([]byte("Type: cpu\n"))
	require.ErrorContains(t, err, "no samples")
}
