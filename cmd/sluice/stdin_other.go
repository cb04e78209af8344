//go:build !unix

package main

import "os"

// closedAtStart reports whether f was closed when the program started.
func closedAtStart(f *os.File) bool {
	_, err := f.Stat()
	return err != nil
}
