// Package contender is what the programs that compete have in common: they read
// a stream, whose size they are not told, and upload it.
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
	// PartSize in bytes and Concurrency are asked of every contender alike; 0
	// means its own default.
	PartSize    int64
	Concurrency int
	// Size in bytes is that of the stream, which the program generates; 0
	// means that it comes on stdin.
	Size int64
	// Restore asks for the file of that size, whose name its size is, to be read back: to Path, or
	// to nothing if that is "".
	Restore bool
	Path    string
}

// Main is a contender's main: it reads the task from the first argument.
// download is nil where there is none.
func Main(upload func(ctx context.Context, t Task, stream io.Reader) error, download func(ctx context.Context, t Task) error) {
	if err := run(upload, download); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Output is where a restore writes to: its file, or one that takes nothing.
func (t Task) Output() (*os.File, error) {
	if t.Path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	return os.Create(t.Path)
}

func run(upload func(context.Context, Task, io.Reader) error, download func(context.Context, Task) error) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s task-in-JSON", os.Args[0])
	}
	var t Task
	if err := json.Unmarshal([]byte(os.Args[1]), &t); err != nil {
		return err
	}
	if t.Restore {
		return download(context.Background(), t)
	}
	// Nothing but Read is offered, so that the length cannot be learned.
	stream := struct{ io.Reader }{os.Stdin}
	if t.Size > 0 {
		stream.Reader = lab.NewSource(lab.NewPage(), t.Size, 0, nil)
	}
	return upload(context.Background(), t, stream)
}
