package engines

import (
	"os/exec"
	"syscall"
)

// endWithParent has the process killed when the thread that starts it ends, so that a test that is
// killed leaves no server running.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
