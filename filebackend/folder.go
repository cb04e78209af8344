package filebackend

import (
	"errors"
	"os"
	"path"

	"github.com/c1508ce4/sluice/internal/disk"
)

// syncFolders makes what happened to the entries of a folder, and of those
// above it, outlive a power cut.
func syncFolders(root *os.Root, dir string) error {
	for ; ; dir = path.Dir(dir) {
		f, err := root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(disk.SyncFolder(f), f.Close()); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}
