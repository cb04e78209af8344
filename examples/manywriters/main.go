// Command manywriters stores many files at once under one memory limit,
// whatever their number and sizes: all streams take their memory from one
// sluice.Pool. Take it as a pattern for shards, tables and tenants. A stream
// that fails ends alone.
//
//	go run ./examples/manywriters *.go
//
// The store is this process's memory, so that nothing has to be set up; any
// other sluice.Backend takes its place in main.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, memorybackend.New(nil), os.Args[1:], os.Stdout, os.Stderr))
}

// memory is the most page memory of all streams together, in bytes.
const memory = 64 << 20

// atOnce is how many files are open at once. It is the system's limit of open
// files that makes one wise: the memory is the same for any number.
const atOnce = 100

const usage = `usage: manywriters FILE...
Stores the files, each under its path, all at once under one memory limit.
`

// run is the program: 0 is success, 1 a failure of any file, 2 a mistake in
// args. What is stored goes to stdout.
func run(ctx context.Context, store sluice.Backend, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	paths := args
	pool, err := sluice.NewPool(memory, 0)
	if err != nil {
		fmt.Fprintln(stderr, "manywriters:", err)
		return 1
	}
	files, errs := make([]sluice.File, len(paths)), make([]error, len(paths))
	var streams errgroup.Group
	streams.SetLimit(atOnce)
	for i, path := range paths {
		streams.Go(func() error {
			files[i], errs[i] = save(ctx, store, pool, path)
			return nil // the others go on
		})
	}
	_ = streams.Wait()

	exit := 0
	for i, file := range files {
		if errs[i] != nil {
			fmt.Fprintln(stderr, "manywriters: not stored:", errs[i])
			exit = 1
			continue
		}
		fmt.Fprintf(stdout, "%s\t%d\t%s\n", file.ID, file.Size, file.Name)
	}
	return exit
}

// save stores a file under its path.
func save(ctx context.Context, store sluice.Backend, pool *sluice.Pool, path string) (sluice.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return sluice.File{}, err
	}
	defer f.Close()
	return sluice.Upload(ctx, store, path, &sluice.Options{Pool: pool}, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
