package filebackend_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func init() {
	// The device of numbers 0 and 0 is none, and may be made by anybody.
	plantDevice = func(t *testing.T, name string) { require.NoError(t, syscall.Mknod(name, syscall.S_IFCHR|0o600, 0)) }
}
