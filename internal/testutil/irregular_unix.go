//go:build unix

package testutil

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Irregular has the ways to plant what is no regular file under a name. A link
// leads to victim, a file of the same folder.
var Irregular = map[string]func(name, victim string) error{
	"a folder":        func(name, _ string) error { return os.Mkdir(name, 0o700) },
	"a symbolic link": func(name, victim string) error { return os.Symlink(filepath.Base(victim), name) },
	"a FIFO":          func(name, _ string) error { return syscall.Mkfifo(name, 0o600) },
	"a socket":        func(name, _ string) error { return plantSocket(name) },
}

// plantSocket makes a socket under a short name first: a path of one may have
// some hundred bytes.
func plantSocket(name string) error {
	short := filepath.Join(filepath.Dir(name), "s")
	l, err := net.Listen("unix", short)
	if err != nil {
		return err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		return err
	}
	return os.Rename(short, name)
}
