// Command relay is an HTTP server that passes request bodies on to a store as
// they arrive, however large they are: nothing is kept on disk, and all
// requests together take one fixed amount of memory. Take it as a pattern for
// uploads by clients that shall not have the store's credentials. It
// authenticates no client: put it behind something that does.
//
//	go run ./examples/relay -addr 127.0.0.1:8080 &
//	curl -T movie.mp4 http://127.0.0.1:8080/movie.mp4
//
// A client that hangs up half-way leaves no file. One that hangs up after its
// last byte may have made one.
//
// The store is this process's memory, so that nothing has to be set up; any
// other sluice.Backend takes its place in main.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, memorybackend.New(nil), os.Args[1:], os.Stderr))
}

// Time that is waited for others.
const (
	// for the next bytes of a client: meanwhile it holds memory that others
	// wait for
	patience = time.Minute
	farewell = 10 * time.Second // for requests under way when the server is to end
)

const usage = `usage: relay [flags]
Stores the body of each PUT request under the name in its path, until it is interrupted.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, store sluice.Backend, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "`address` to serve at")
	memory := flags.Int64("memory", sluice.DefaultMemoryLimit, "`bytes` of page memory for all requests together")
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	if err := serve(ctx, store, *addr, *memory, log.New(stderr, "relay: ", 0)); err != nil {
		fmt.Fprintln(stderr, "relay:", err)
		return 1
	}
	return 0
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, store sluice.Backend, addr string, memory int64, logger *log.Logger) error {
	pool, err := sluice.NewPool(memory, 0)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := (&relay{store: store, pool: pool, patience: patience, log: logger}).server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logger.Printf("serving at http://%s", listener.Addr())
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		logger.Print("WARNING: other machines may reach it, and it asks nobody who they are: put it behind something that does")
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		// the uploads under way fail: nothing of them is finished
		return errors.Join(err, server.Close())
	}
	return nil
}
