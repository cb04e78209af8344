package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlargePipe makes the kernel's buffer of a pipe pipeSize bytes, so that source and upload
// wait less for each other. It is a wish: other files, and pipes beyond the user's quota, stay
// as they are.
func enlargePipe(f *os.File) {
	conn, err := f.SyscallConn() // Fd would make f blocking, and a deadline must end a Read
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
}
