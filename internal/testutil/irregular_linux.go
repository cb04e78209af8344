package testutil

import "syscall"

func init() {
	// The device of numbers 0 and 0 is none, and may be made by anybody.
	Irregular["a device"] = func(name, _ string) error { return syscall.Mknod(name, syscall.S_IFCHR|0o600, 0) }
}
