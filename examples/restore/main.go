// Command restore reads a file back to the disk, is cut off on the way, and
// resumes: what is on the disk is verified, and only the rest is fetched. Take it
// wherever a large backup has to come back over a connection that may break.
//
//	go run ./examples/restore
//
// It stores 20 MB of made-up data on a local B2 server in this process, with a
// manifest that has the digests of its parts, and restores it to a temporary
// folder. In a program of your own the process may be killed at any moment; its
// next run calls DownloadFile just the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := b2test.NewServer(nil)
	defer server.Close()
	os.Exit(run(ctx, server, os.Args[1:], os.Stderr))
}

const usage = `usage: restore
Stores made-up data on a server of its own, and restores it to a temporary file, in two runs.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, server *b2test.Server, args []string, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if err := demonstrate(ctx, server, stderr); err != nil {
		fmt.Fprintln(stderr, "restore:", err)
		return 1
	}
	return 0
}

func demonstrate(ctx context.Context, server *b2test.Server, stderr io.Writer) error {
	bucket, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()),
		// without Endpoint: the real service
		server.Bucket(), &b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		return err
	}
	o := &sluice.Options{PartSize: 5 << 20, Manifest: true}
	_, err = sluice.Upload(ctx, bucket, "data", o, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(rand.NewChaCha8([32]byte{}), 20e6))
		return err
	})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "restore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data")

	cut, cutOff := context.WithCancelCause(ctx)
	defer cutOff(nil)
	err = restore(cut, bucket, path, func(ranges int) {
		if ranges == 2 {
			cutOff(errors.New("the connection is broken"))
		}
	})
	fmt.Fprintln(stderr, "restore: first run:", err)

	if err := restore(ctx, bucket, path, func(int) {}); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "restore: second run: restored, %d bytes\n", info.Size())
	return nil
}

// restore writes the file "data" of the store to path, and calls done after each
// range.
func restore(ctx context.Context, store sluice.Source, path string, done func(ranges int)) error {
	var ranges atomic.Int64
	_, err := sluice.DownloadFile(ctx, store, "data", path, &sluice.ReadOptions{
		// so that the first run is cut off in the middle: both are better left
		// alone
		Concurrency: 1,
		RangeSize:   5 << 20,
		Hooks: &sluice.Hooks{PartDone: func(_ sluice.PartEvent, err error) {
			if err == nil {
				done(int(ranges.Add(1)))
			}
		}},
	})
	return err
}
