package blendvisionbackend_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
)

// A file is read back by the ID that its upload returned.
func Example_download() {
	server := bvtest.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend, err := blendvisionbackend.New(
		blendvisionbackend.NewCredentials(server.Token(), server.OrgID()),
		&blendvisionbackend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	const talk = "the whole talk"
	stored, err := sluice.Upload(ctx, backend, "talk.mp4", &sluice.Options{Size: int64(len(talk))}, func(w io.Writer) error {
		_, err := io.WriteString(w, talk)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	var content strings.Builder
	file, err := sluice.Download(ctx, backend, stored.ID, &content, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes: %s\n", file.Size, &content)
	// Output: 14 bytes: the whole talk
}

// Files of a handle have its type and its attributes.
func ExampleBackend_With() {
	server := bvtest.NewServer(nil)
	defer server.Close()
	backend, err := blendvisionbackend.New(
		blendvisionbackend.NewCredentials(server.Token(), server.OrgID()),
		&blendvisionbackend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	episodes := backend.With(blendvisionbackend.FileOptions{Type: "FILE_TYPE_AUDIO", Attributes: map[string]string{"season": "3"}})
	_, err = sluice.Upload(context.Background(), episodes, "1.mp3", &sluice.Options{Size: 3}, func(w io.Writer) error {
		_, err := io.WriteString(w, "mp3")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	s := server.Sessions()[0]
	fmt.Println(s.Name, s.Type, s.Attrs)
	// Output: 1.mp3 FILE_TYPE_AUDIO map[season:3]
}
