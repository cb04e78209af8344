// Package contender is what the programs that compete have in common: they read a stream, of a size nobody tells
// them, and upload it.
package contender

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// Task is one upload.
type Task struct {
	Server lab.Address
	// S3 is what the server speaks, else B2.
	S3 bool
	// PartSize in bytes and Concurrency are asked of every contender alike; 0 means its own default.
	PartSize    int64
	Concurrency int
	// Size in bytes is that of the stream, which the program makes by itself; 0 means that it comes on stdin.
	Size int64
}

// Main is a contender's main: it reads the task from the first argument.
func Main(upload func(ctx context.Context, t Task, stream io.Reader) error) {
	if err := run(upload); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(upload func(context.Context, Task, io.Reader) error) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s task-in-JSON", os.Args[0])
	}
	var t Task
	if err := json.Unmarshal([]byte(os.Args[1]), &t); err != nil {
		return err
	}
	// Nothing but Read is offered, so that nobody learns the length.
	stream := struct{ io.Reader }{os.Stdin}
	if t.Size > 0 {
		stream.Reader = lab.NewSource(lab.NewPage(), t.Size, 0, nil)
	}
	return upload(context.Background(), t, stream)
}
