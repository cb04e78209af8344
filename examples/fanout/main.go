// Command fanout stores standard input in two stores at once, reading it once.
// Take it where one copy is not enough and the source cannot be read twice; the
// slower store sets the pace.
//
//	tar -cf - . | go run ./examples/fanout backup.tar
//
// The stores are this process's memory and a local B2 server in it, so that
// nothing has to be set up; any other two of sluice.Backend take their places
// in main.
//
// What is promised: a source that fails, or a store that fails with any part,
// leaves no file in either store, because neither is asked to finish before
// both have everything. What no program can promise over two stores: once both
// were asked, one may say yes and the other no. Then there is one file, which
// is printed, and the exit code is 1. A stream that fits one part is stored in
// one call, which is the asking too.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(demonstrate(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// demonstrate runs the program with stores of its own.
func demonstrate(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	server := b2test.NewServer(nil)
	defer server.Close()
	bucket, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()),
		// without Endpoint: the real service
		server.Bucket(), &b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		fmt.Fprintln(stderr, "fanout:", err)
		return 1
	}
	return run(ctx, []sluice.Backend{bucket, memorybackend.New(nil)}, args, stdin, stdout, stderr)
}

const usage = `usage: fanout NAME <DATA
Stores standard input as NAME in two stores at once, reading it once.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args. The files
// there are go to stdout.
func run(ctx context.Context, stores []sluice.Backend, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	files, err := save(ctx, stores, args[0], stdin)
	for i, file := range files {
		if file.ID != "" {
			fmt.Fprintf(stdout, "store %d: %s (%s), %d bytes\n", i+1, file.Name, file.ID, file.Size)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "fanout:", err)
		return 1
	}
	return 0
}
