//go:build unix

// Command peak runs a command, and writes the most resident memory that it
// took, in KiB, into a file:
//
//	peak FILE COMMAND [ARG...]
//
// The kernel counts what a process had before it began another program as that
// program's too, and that is the memory of its parent. So the parent must be
// small.
package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func main() {
	c := exec.Command(os.Args[2], os.Args[3:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = c.Run()
	peak := strconv.FormatInt(int64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss), 10)
	if err := os.WriteFile(os.Args[1], []byte(peak), 0o600); err != nil {
		panic(err)
	}
}
