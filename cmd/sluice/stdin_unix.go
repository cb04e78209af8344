//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// closedAtStart reports whether f was closed when the program started. The runtime then
// opens the null device in its place, for reading and writing, and "< /dev/null" opens it
// only for reading.
func closedAtStart(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(info, null) {
		return false
	}
	conn, err := f.SyscallConn() // Fd would make it blocking
	if err != nil {
		return false
	}
	flags := 0
	err = conn.Control(func(fd uintptr) { flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// onDisk reports whether a file has blocks of a file system. Files that the kernel makes up have
// none, nor have empty ones.
func onDisk(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Blocks > 0
}
