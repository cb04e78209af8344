package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/c1508ce4/sluice/internal/disk"
)

// replaceFile makes path a file of what write writes, once that is whole and on the disk. A new
// file has the permissions mode; one that is replaced keeps its own, unless it is another user's.
func replaceFile(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	folder, name, err := openParent(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if _, err := folder.Replaced(name); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.CreateTemp(folder.Name(), ".sluice-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	replaced, err := folder.Replaced(name) // it took a while
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if kept, ok := folder.Kept(replaced); ok {
		mode = kept
	}
	if err := errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// openParent opens the folder that path is in, and returns the name that it has there.
func openParent(path string) (*disk.Folder, string, error) {
	dir, name := filepath.Split(path)
	if name == "" {
		return nil, "", fmt.Errorf("%q is not the path of a file", path)
	}
	root, err := os.OpenRoot(cmp.Or(dir, "."))
	if err != nil {
		return nil, "", err
	}
	return disk.NewFolder(root), name, nil
}
