// Command ownbackend stores standard input in a store of its own: folder.go is a whole sluice.Backend in some
// seventy lines of code, main_test.go runs the conformance kit over it. Take it as the place to begin where a
// store is not supported yet, and exchange file system calls for the store's.
//
//	tar -cf - . | go run ./examples/ownbackend /tmp backup.tar
//	cat /tmp/backup.tar.parts/* | tar -tf -
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/examples/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

const usage = `usage: ownbackend FOLDER NAME <DATA
Stores standard input as NAME in FOLDER, which must exist.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ownbackend", flag.ContinueOnError)
	if exit, ok := (cli.Program{Flags: flags, Usage: usage, Arguments: 2}).Parse(args, stdout, stderr); !ok {
		return exit
	}
	file, err := sluice.Upload(ctx, folder{root: flags.Arg(0)}, flags.Arg(1), nil, func(w io.Writer) error {
		_, err := io.Copy(w, stdin)
		return err
	})
	if err != nil {
		fmt.Fprintln(stderr, "ownbackend: nothing is stored:", err)
		return 1
	}
	fmt.Fprintf(stderr, "ownbackend: %s is stored, %d bytes in %d parts\n", file.ID, file.Size, file.Parts)
	return 0
}
