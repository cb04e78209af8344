// Command resume stores a file, is cut off on the way, and goes on where it
// was: what is stored already is compared and not sent again. Take it for large
// files over lines that break, and wherever the source can be read again from
// its first byte. A source that cannot, such as a second pg_dump, is another
// stream.
//
//	go run ./examples/resume
//
// It stores 20 MB of made-up data on a local B2 server in this process, so that
// nothing has to be set up. In a program of your own the one that is cut off is
// the process, and its next run calls save just the same. What is never gone on
// with has to be cancelled, because the store bills it: b2backend's CancelStale
// does that.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"

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

const usage = `usage: resume
Stores made-up data on a server of its own, is cut off, and goes on where it was.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, server *b2test.Server, args []string, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	bucket, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()),
		// without Endpoint: the real service
		server.Bucket(), &b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		fmt.Fprintln(stderr, "resume:", err)
		return 1
	}
	cut, cutOff := context.WithCancelCause(ctx)
	defer cutOff(nil)
	_, _, err = save(cut, bucket, "data", source(), func(part int) {
		if part == 2 {
			cutOff(errors.New("the line is broken"))
		}
	})
	fmt.Fprintln(stderr, "resume: first run:", err)

	file, reused, err := save(ctx, bucket, "data", source(), func(int) {})
	if err != nil {
		fmt.Fprintln(stderr, "resume: second run:", err)
		return 1
	}
	fmt.Fprintf(stderr, "resume: second run: stored, %d bytes in %d parts; %d bytes were there\n", file.Size, file.Parts, reused)
	return 0
}

// save streams source into the file of that name, going on with what an earlier
// run has left. It calls stored after each part.
func save(ctx context.Context, store sluice.Backend, name string, source io.Reader, stored func(part int)) (f sluice.File, reused int64, err error) {
	w, err := sluice.New(ctx, store, name, &sluice.Options{
		Resume:   true, // what a failure leaves is kept for the next run
		PartSize: 5 << 20,
		Hooks: &sluice.Hooks{PartDone: func(p sluice.PartEvent, err error) {
			if err == nil {
				stored(p.Number)
			}
		}},
	})
	if err != nil {
		return sluice.File{}, 0, err
	}
	defer w.Abort(nil)
	_, _ = w.ReadFrom(source) // a source that fails has failed the stream, and Close says so
	err = w.Close()
	return w.File(), w.Stats().Reused, err
}

// source is a file of 20 MB that has the same bytes each time it is read.
func source() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), 20e6) }
