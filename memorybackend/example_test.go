package memorybackend_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// What was stored is read back as a file system.
func Example() {
	backend := memorybackend.New(nil)
	_, err := sluice.Upload(context.Background(), backend, "logs/monday", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "all quiet")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	text, err := fs.ReadFile(backend.FS(), "logs/monday")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", backend.Names()[0], text)
	// Output: logs/monday: all quiet
}
