package lab

import (
	"os"

	"golang.org/x/sys/unix"
)

// EnlargePipe makes the kernel's buffer of a pipe 1 MiB, as cmd/sluice does. It is a wish.
func EnlargePipe(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
}
