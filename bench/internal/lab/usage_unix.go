//go:build unix

package lab

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// Measured is whether the figures of this file are measured on this system.
const Measured = true

// CPU is the seconds of processor time, user and system, that this process has used.
func CPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// PeakRSS is the peak of this process's resident memory in bytes, 0 if the
// system does not tell. On Linux it is VmHWM: getrusage there counts the
// parent's memory as well, which a process shares until exec.
func PeakRSS() int64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range bytes.Lines(status) {
			var kib int64
			if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kib); n == 1 {
				return kib << 10
			}
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return maxRSS(&u)
}

// peakOf is the peak of a process that has ended. On Linux it is at least what
// this process had when it started that one.
func peakOf(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return maxRSS(u)
	}
	return 0
}

// maxRSS is in bytes on Apple's systems and in KiB elsewhere.
func maxRSS(u *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
