// Command tardir stores a folder as one compressed archive, without a temporary
// file and without the programs tar and zstd. Take it as a pattern where a
// program makes its own data in stages: every stage returns its error to
// sluice.Upload, which then finishes nothing.
//
//	go run ./examples/tardir .
//
// The store is this process's memory, so that nothing has to be set up; any
// other sluice.Backend takes its place in main. The archive has folders,
// regular files and symbolic links, no hard links and no holes; a folder that
// holds anything else, such as a socket, is an error.
package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, memorybackend.New(nil), os.Args[1:], os.Stderr))
}

const usage = `usage: tardir FOLDER
Stores FOLDER as one archive, compressed by zstd.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, store sluice.Backend, args []string, stderr io.Writer) int {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	folder, err := filepath.Abs(args[0])
	if err != nil {
		fmt.Fprintln(stderr, "tardir:", err)
		return 1
	}
	file, err := save(ctx, store, filepath.Base(folder)+".tar.zst", os.DirFS(folder))
	if err != nil {
		fmt.Fprintln(stderr, "tardir: nothing is stored:", err)
		return 1
	}
	fmt.Fprintf(stderr, "tardir: %s is stored, %d bytes\n", file.Name, file.Size)
	return 0
}

// save streams an archive of files into the file of that name.
func save(ctx context.Context, store sluice.Backend, name string, files fs.FS) (sluice.File, error) {
	return sluice.Upload(ctx, store, name, nil, func(w io.Writer) error {
		z, err := zstd.NewWriter(w)
		if err != nil {
			return err
		}
		t := tar.NewWriter(z)
		if err := t.AddFS(files); err != nil {
			return fmt.Errorf("archiving: %w", err)
		}
		// it is here that a last file shorter than announced is noticed
		if err := t.Close(); err != nil {
			return fmt.Errorf("archiving: %w", err)
		}
		// not before: it would end the frame, and a broken archive would look
		// whole
		return z.Close()
	})
}
