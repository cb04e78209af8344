//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filebackend

import (
	"errors"
	"os"
	"syscall"
)

// lock takes f for this process until unlock; errBusy if another has it. A file system without locks takes
// none.
func lock(f *os.File) error {
	err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errBusy
	}
	return err
}

// unlock is needed although f is closed next: a process being forked meanwhile has f too, and with it the
// lock, until its program starts.
func unlock(f *os.File) error { return flock(f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		for {
			if failed = syscall.Flock(int(fd), how); failed != syscall.EINTR {
				return
			}
		}
	})
	if errors.Is(failed, errors.ErrUnsupported) {
		failed = nil
	}
	return errors.Join(err, failed)
}
