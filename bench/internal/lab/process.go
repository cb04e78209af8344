package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// Roles are what a process started by [Command] can be: each takes a spec and
// returns a result, both as JSON. A server's role writes to stdout itself and
// returns nil.
type Roles map[string]func(ctx context.Context, spec json.RawMessage) (any, error)

// rolePrefix marks the first argument of a process that plays a role.
const rolePrefix = "role:"

// Play plays the role that args (os.Args) name. It is false if they name none,
// as when a user starts the program.
func (r Roles) Play(args []string) bool {
	if len(args) != 3 || !strings.HasPrefix(args[1], rolePrefix) {
		return false
	}
	play := r[strings.TrimPrefix(args[1], rolePrefix)]
	if play == nil {
		fail(fmt.Errorf("no %s", args[1]))
	}
	result, err := play(context.Background(), json.RawMessage(args[2]))
	if err == nil && result != nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fail(fmt.Errorf("%s: %w", args[1], err))
	}
	return true
}

// Main is the main of a program that has roles: it plays the one that it was
// started for, else runs until it is interrupted, and exits with what run
// returns.
func Main(roles Roles, run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	if roles.Play(os.Args) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Command is this program again, as a process that plays a role.
func Command(ctx context.Context, role string, spec any) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, program, rolePrefix+role, string(text)), nil
}

// Beside is the memory in bytes that a client's process is allowed beside its
// pages, as cmd/sluice has it.
const Beside = 24 << 20

// Usage is what a whole process took, seen from outside.
type Usage struct {
	Wall float64 // seconds
	CPU  float64 // seconds, user and system
	RSS  int64   // peak, bytes; 0 where the system does not tell
}

// Run runs cmd to its end and decodes what it prints into result, if that is
// not nil. produce, if not nil, runs meanwhile with its output on cmd's stdin.
func Run(cmd, produce *exec.Cmd, result any) (Usage, error) {
	var out, said, saidBefore strings.Builder // one for each process: they write at the same time
	cmd.Stdout, cmd.Stderr = &out, &said
	if produce != nil {
		produce.Stderr = &saidBefore
	}
	began := time.Now()
	ended, endedBefore := runPiped(cmd, produce)
	u := Usage{Wall: time.Since(began).Seconds()}
	if err := errors.Join(because(cmd, ended, &said), because(produce, endedBefore, &saidBefore)); err != nil {
		return Usage{}, err
	}
	u.CPU, u.RSS = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peakOf(cmd.ProcessState)
	if result == nil {
		return u, nil
	}
	return u, json.Unmarshal([]byte(out.String()), result)
}

// because adds to err which process it is about and what that said, not its
// arguments: they carry the server's key.
func because(cmd *exec.Cmd, err error, said fmt.Stringer) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(said.String()))
}

// runPiped returns how each of the two ended.
func runPiped(cmd, produce *exec.Cmd) (ended, endedBefore error) {
	if produce == nil {
		return cmd.Run(), nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err, nil
	}
	cmd.Stdin, produce.Stdout = r, w
	err = cmd.Start()
	_ = r.Close() // cmd has its own
	if err != nil {
		_ = w.Close()
		return err, nil
	}
	err = produce.Start()
	_ = w.Close()
	if err != nil {
		return cmd.Wait(), err
	}
	return cmd.Wait(), produce.Wait()
}

// Service is a process that serves until Stop.
type Service struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// Serve starts cmd, whose first line of output is decoded into address. It must
// end when its stdin does, so that it never outlives this process.
func Serve(cmd *exec.Cmd, address any) (*Service, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Service{cmd: cmd, stdin: stdin}
	if err := json.NewDecoder(stdout).Decode(address); err != nil {
		return nil, errors.Join(fmt.Errorf("server does not say where it is: %w", err), s.Stop())
	}
	return s, nil
}

// Stop ends the process and waits for it.
func (s *Service) Stop() error {
	_ = s.stdin.Close()
	return s.cmd.Wait()
}
