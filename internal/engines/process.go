package engines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// process is a program that runs until it is stopped.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	output output
}

// begin starts a command.
func begin(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	endWithParent(cmd)
	started := make(chan error)
	go func() {
		// On Linux the process is bound to the thread that starts it; see endWithParent.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			defer close(p.ended)
			_ = cmd.Wait() // it is killed in the end
		}
	}()
	return p, <-started
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// until returns once ready returns true.
func (p *process) until(ctx context.Context, ready func() bool) error {
	late := time.NewTimer(startTime)
	defer late.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ready() {
		select {
		case <-again.C:
		case <-p.ended:
			return fmt.Errorf("%s ended at once: %s", p.cmd.Path, &p.output)
		case <-late.C:
			return fmt.Errorf("%s is not ready within %v: %s", p.cmd.Path, startTime, &p.output)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), errors.New(p.output.String()))
		}
	}
	return nil
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(q []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(q)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
