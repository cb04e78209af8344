package b2backend_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// A file is read back. What came is whole if the reading ends without an error, not before.
func ExampleBackend_Open() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend, err := b2backend.New(ctx, b2backend.Credentials{KeyID: server.KeyID(), Key: server.Key()}, server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	_, err = sluice.Upload(ctx, backend, "greeting", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "hello, world")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	file, err := backend.Open(ctx, "greeting")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var content strings.Builder
	if _, err := io.Copy(&content, file); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes, SHA-1 %x: %s\n", file.Name, file.Size, file.SHA1, &content)
	// Output: greeting: 12 bytes, SHA-1 b7e23ec29af22b0b4e41da31e868d57226121c84: hello, world
}
