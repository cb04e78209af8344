//go:build !linux

package engines

import "os/exec"

// endWithParent does nothing: this system has no such mechanism.
func endWithParent(*exec.Cmd) {}
