// Command pgdump stores what a command writes, such as a dump by pg_dump, and
// only if the command exits 0. Take it as a pattern where a program runs the
// producer itself. A plain pipe cannot do this: its reader sees the same end
// whether the producer was done or was killed, and half a dump would become a
// file.
//
//	go run ./examples/pgdump db.dump pg_dump --format=custom db
//	go run ./examples/pgdump numbers seq 1000000
//
// The store is this process's memory, so that nothing has to be set up; any
// other sluice.Backend takes its place in main. Command sluice (cmd/sluice) is
// this program with everything that a shell needs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, memorybackend.New(nil), os.Args[1:], os.Stderr))
}

const usage = `usage: pgdump NAME COMMAND [ARGUMENT...]
Stores what COMMAND writes as NAME, if it exits 0.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, store sluice.Backend, args []string, stderr io.Writer) int {
	if len(args) < 2 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	file, err := save(ctx, store, args[0], args[1:], stderr)
	if err != nil {
		fmt.Fprintln(stderr, "pgdump: nothing is stored:", err)
		return 1
	}
	fmt.Fprintf(stderr, "pgdump: %s is stored, %d bytes\n", file.Name, file.Size)
	return 0
}

// save streams the output of a command into the file of that name. The
// command's own messages go to stderr.
func save(ctx context.Context, store sluice.Backend, name string, command []string, stderr io.Writer) (sluice.File, error) {
	return sluice.Upload(ctx, store, name, nil, func(w io.Writer) error {
		ctx, kill := context.WithCancel(ctx)
		defer kill()
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stderr = stderr
		output, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		// What the command has started may outlive it, and hold the pipe open.
		defer context.AfterFunc(ctx, func() { _ = output.Close() })()
		if _, err := io.Copy(w, output); err != nil {
			kill()
			_ = cmd.Wait()
			return err
		}
		// Only the exit status tells a dump that is done from one that died.
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
		return nil
	})
}
