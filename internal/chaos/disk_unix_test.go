//go:build unix

package chaos

import (
	"os/signal"
	"syscall"
)

// limitFiles makes writing beyond n bytes of a file fail with EFBIG: a disk
// that is full from there on.
func limitFiles(n uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
}
