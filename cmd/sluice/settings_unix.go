//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner rejects a file of settings that another user has made or may change, or may read
// though it has a secret.
func checkOwner(info fs.FileInfo, secret bool) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode()
	switch {
	case !mode.IsRegular() || !ok:
		return nil // a pipe, or /dev/null
	case owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, who could have sluice store files elsewhere", owner.Uid)
	case mode.Perm()&0o022 != 0:
		return errors.New("other users may change it; chmod 600 keeps them from it")
	case secret && mode.Perm()&0o044 != 0:
		return errors.New("it has a secret, and other users may read it; chmod 600 keeps them from it")
	}
	return nil
}
