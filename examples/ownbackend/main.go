// Command ownbackend stores standard input in a store of its own. folder.go is a
// whole sluice.Backend for a folder in some ninety lines of code; webdav.go is the
// same over a network, for a WebDAV server, in some hundred and thirty, with
// package httpcall. The tests run the conformance kit over both. Take the one that
// is closer to your store as the place to begin.
//
//	tar -cf - . | go run ./examples/ownbackend /tmp backup.tar
//	cat /tmp/backup.tar.parts/* | tar -tf -
//	DAV_USER=me DAV_PASSWORD=secret go run ./examples/ownbackend \
//		https://dav.example.com/backups backup.tar <backup.tar
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/c1508ce4/sluice"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stderr))
}

const usage = `usage: ownbackend FOLDER|URL NAME <DATA
Stores standard input as NAME in FOLDER, or in the collection at URL on a WebDAV server, which must exist.
DAV_USER and DAV_PASSWORD in the environment log in there.
`

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) int {
	if len(args) != 2 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var store sluice.Backend = folder{root: args[0]}
	if strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://") {
		var err error
		if store, err = newWebDAV(args[0], os.Getenv("DAV_USER"), os.Getenv("DAV_PASSWORD")); err != nil {
			fmt.Fprintln(stderr, "ownbackend:", err)
			return 1
		}
	}
	file, err := sluice.Upload(ctx, store, args[1], nil, func(w io.Writer) error {
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
