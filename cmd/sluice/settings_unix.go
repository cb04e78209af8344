//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkWriters rejects a file of settings, or a FIFO for them, that another user has made or may
// change. Only root makes devices.
func checkWriters(info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case !ok || mode&^fs.ModeNamedPipe&fs.ModeType != 0:
		return nil
	case owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, who could have sluice store files elsewhere", owner.Uid)
	case mode.Perm()&0o022 != 0:
		return errors.New("other users may change it; chmod 600 keeps them from it")
	}
	return nil
}

// checkReaders rejects a file of settings that has a secret and that another user may read.
func checkReaders(info fs.FileInfo, secret bool) error {
	if secret && info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0 {
		return errors.New("it has a secret, and other users may read it; chmod 600 keeps them from it")
	}
	return nil
}
