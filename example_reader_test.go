package sluice_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// storeWith returns a store that holds a file.
func storeWith(name, text string) *memorybackend.Backend {
	store := memorybackend.New(nil)
	_, err := sluice.Upload(context.Background(), store, name, nil, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	return store
}

func ExampleDownload() {
	store := storeWith("greeting.txt", "hello")

	file, err := sluice.Download(context.Background(), store, "greeting.txt", os.Stdout, nil)
	if err != nil {
		log.Fatal(err) // what was written is not whole
	}
	fmt.Printf("\n%d bytes\n", file.Size)
	// Output:
	// hello
	// 5 bytes
}

func ExampleDownloadFile() {
	store := storeWith("greeting.txt", "hello")
	dir, err := os.MkdirTemp("", "restore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	path := filepath.Join(dir, "greeting.txt")
	if _, err := sluice.DownloadFile(context.Background(), store, "greeting.txt", path, nil); err != nil {
		log.Fatal(err) // the next call resumes
	}
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output: hello
}

func ExampleNewReader() {
	store := storeWith("greeting.txt", "hello")

	r, err := sluice.NewReader(context.Background(), store, "greeting.txt", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, r); err != nil {
		log.Fatal(err)
	}
	fmt.Println(text.String())
	// Output: hello
}

func ExampleSource() {
	store := storeWith("logs/monday.txt", "quiet")
	var source sluice.Source = store

	for file, err := range source.List(context.Background(), "logs/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(file.Name, file.Size)
	}
	// Output: logs/monday.txt 5
}
