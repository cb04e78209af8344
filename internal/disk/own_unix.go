//go:build unix

package disk

import (
	"io/fs"
	"syscall"
)

// owner returns the user that a file belongs to, and how many names it has.
func owner(info fs.FileInfo) (owned, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owned{}, false
	}
	return owned{int(stat.Uid), uint64(stat.Nlink)}, true
}

// Inode returns the number that a file has in its file system, 0 if it has none.
func Inode(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(stat.Ino)
}
