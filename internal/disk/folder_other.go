//go:build !windows

package disk

import (
	"errors"
	"os"
	"syscall"
)

// SyncFolder syncs a folder, where its file system can: EINVAL is how one says
// that it cannot.
func SyncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
