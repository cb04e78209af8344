package filebackend_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
)

func Example() {
	dir, err := os.MkdirTemp("", "backups")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	b, err := filebackend.New(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	file, err := sluice.Upload(context.Background(), b, "db/monday.dump", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "all the data")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	data, err := os.ReadFile(filepath.Join(dir, "db", "monday.dump"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes: %s\n", file.Name, file.Size, data)
	// Output: db/monday.dump: 12 bytes: all the data
}

// What a crash, or a failure with [sluice.Options].KeepOnFailure, has left is
// listed, and cancelled where it is not resumed.
func ExampleBackend_Unfinished() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "backups")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := filebackend.New(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "db/monday.dump", Size: sluice.UnknownSize}); err != nil {
		log.Fatal(err)
	}

	for u, err := range b.Unfinished(ctx, "db/") {
		if err != nil {
			log.Fatal(err)
		}
		f, err := b.ResumeLargeFile(ctx, u.Spec, u.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("cancelling", u.Spec.Name, f.Cancel(ctx))
	}
	// Output: cancelling db/monday.dump <nil>
}
