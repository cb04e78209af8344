//go:build !windows

package filebackend

import (
	"errors"
	"os"
	"syscall"
)

// syncFolder syncs a folder, where its file system can: EINVAL is how one says that it cannot.
func syncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
