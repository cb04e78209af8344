//go:build !unix

package disk

import "io/fs"

// owner returns false: the permissions of files are not in their mode here.
func owner(fs.FileInfo) (owned, bool) { return owned{}, false }

// Inode returns 0: there is no number to be had here.
func Inode(fs.FileInfo) uint64 { return 0 }
