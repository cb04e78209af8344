//go:build !unix

package main

import (
	"io/fs"
	"os"
)

// closedAtStart reports whether f was closed when the program started.
func closedAtStart(f *os.File) bool {
	_, err := f.Stat()
	return err != nil
}

// onDisk reports whether a file has blocks of a file system.
func onDisk(fs.FileInfo) bool { return true }
