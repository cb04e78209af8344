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

// A file is read back, over several connections at once where it is large.
// Without an error all of it came, and has the SHA-1 that the service keeps.
func Example_download() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	opts := &sluice.Options{ContentType: "text/plain", Metadata: map[string]string{"language": "en"}}
	_, err = sluice.Upload(ctx, backend, "greetings/hello", opts, func(w io.Writer) error {
		_, err := io.WriteString(w, "hello, world")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	for found, err := range backend.List(ctx, "greetings/") {
		if err != nil {
			log.Fatal(err)
		}
		var content strings.Builder
		f, err := sluice.Download(ctx, backend, found.Name, &content, &sluice.ReadOptions{Version: &found})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d bytes, %s, %v: %s\n", f.Name, f.Size, f.ContentType, f.Metadata, &content)
		fmt.Printf("SHA-1 %x\n", f.Digests.Get("sha1"))
		if err := backend.Remove(ctx, found); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// greetings/hello: 12 bytes, text/plain, map[language:en]: hello, world
	// SHA-1 b7e23ec29af22b0b4e41da31e868d57226121c84
}
