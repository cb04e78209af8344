// Command progress stores standard input and shows on standard error what there
// is to see of an upload: hooks tell of every part as it happens, Stats is a
// snapshot whenever one is wanted, here each second. Take it as a pattern for
// progress bars, logs and metrics.
//
//	tar -cf - . | go run ./examples/progress backup.tar
//
// The store is this process's memory with the pace of a network, so that
// nothing has to be set up and something is to be seen; any other
// sluice.Backend takes its place in main.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	store := memorybackend.New(&memorybackend.Options{Latency: 50 * time.Millisecond, Bandwidth: 10e6})
	os.Exit(run(ctx, store, time.Tick(time.Second), os.Args[1:], os.Stdin, os.Stderr))
}

const usage = `usage: progress NAME <DATA
Stores standard input as NAME and shows on standard error how it goes.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, store sluice.Backend, tick <-chan time.Time, args []string, stdin io.Reader, stderr io.Writer) int {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	logger := log.New(stderr, "", 0) // may be used concurrently, as the hooks are called
	file, err := save(ctx, store, tick, args[0], stdin, logger)
	if err != nil {
		logger.Print("progress: nothing is stored: ", err)
		return 1
	}
	logger.Printf("progress: %s is stored, %d bytes in %d parts", file.Name, file.Size, file.Parts)
	return 0
}

// save streams source into the file of that name and logs how it goes.
func save(ctx context.Context, store sluice.Backend, tick <-chan time.Time, name string, source io.Reader, logger *log.Logger) (sluice.File, error) {
	w, err := sluice.New(ctx, store, name, &sluice.Options{Hooks: hooks(logger)})
	if err != nil {
		return sluice.File{}, err
	}
	defer w.Abort(nil) // does nothing after Close
	logger.Printf("up to %d bytes fit, in parts of %d bytes at first", w.Settings().MaxStreamSize, w.Settings().PartSize)

	closed, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		for {
			select {
			case <-tick:
				show(logger, w.Stats())
			case <-closed:
				return
			}
		}
	}()
	_, _ = w.ReadFrom(source) // a source that fails has failed the stream, and Close says so
	err = w.Close()
	close(closed)
	<-shown
	show(logger, w.Stats())
	return w.File(), err
}

// hooks log what happens to every part. Part 0 is a stream that fits one and is
// stored in a single call.
func hooks(logger *log.Logger) *sluice.Hooks {
	return &sluice.Hooks{
		LargeFileStarted: func(i sluice.LargeFileInfo) { logger.Print("large file ", i.ID, " is started") },
		PartRetrying: func(p sluice.PartEvent, err error, wait time.Duration) {
			logger.Printf("part %d: attempt %d failed, next in %v: %v", p.Number, p.Attempt, wait, err)
		},
		PartDone: func(p sluice.PartEvent, err error) {
			if err != nil {
				logger.Printf("part %d: failed: %v", p.Number, err)
				return
			}
			logger.Printf("part %d: %d bytes are stored", p.Number, p.Size)
		},
	}
}

// show logs a snapshot. The three waits say what to improve if that is too slow.
func show(logger *log.Logger, s sluice.Stats) {
	logger.Printf("%d bytes read, %d stored, %d parts under way, %d retries, %d restarts; waited %v for the source, %v for memory, %v for the network",
		s.Accepted, s.Acknowledged, s.PartsInFlight, s.Retries, s.Restarts,
		s.WaitSource.Round(time.Millisecond), s.WaitMemory.Round(time.Millisecond), s.WaitNetwork.Round(time.Millisecond))
}
