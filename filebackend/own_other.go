//go:build !unix

package filebackend

import "io/fs"

// owner returns false: the permissions of files are not in their mode here.
func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

// inode returns 0: there is no number to be had here.
func inode(fs.FileInfo) uint64 { return 0 }
