//go:build !unix

package lab

import "os"

// Measured is whether the figures of this file are measured on this system.
const Measured = false

// CPU is not measured on this system.
func CPU() float64 { return 0 }

// PeakRSS is not measured on this system.
func PeakRSS() int64 { return 0 }

func peakOf(*os.ProcessState) int64 { return 0 }
